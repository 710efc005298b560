"""HTTP interface of the assistant, version 1.

Owns the path, what its description says, and who gets it: whom the flag `assistant` is on for. Deliberately decides
nothing else: one call to the service.
"""

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.assistant.event_stream import EventStream
from app.assistant.schemas import ReplyCreate
from app.assistant.service import Assistant
from app.auth.identity import CurrentIdentity
from app.error_reports import CurrentErrorReports
from app.errors import PROBLEM_RESPONSES
from app.flags import CurrentFlags, require_flag
from app.settings import Settings

STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {
        "description": "Server-Sent Events: `delta` with the next piece of the reply, as often as there is one; at the "
        "end `done` with why it ended, or `error` with a problem when it broke off. Comments keep the connection open.",
        "content": {
            EventStream.media_type: {
                # OpenAPI 3.2's word for what a stream consists of.
                "itemSchema": {
                    "type": "object",
                    "properties": {
                        "event": {"enum": ["delta", "done", "error"]},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                    "required": ["event", "data"],
                },
                "example": 'event: delta\ndata: {"text":"Hello"}\n\nevent: done\ndata: {"reason":"complete"}\n\n',
            }
        },
    }
}

FLAG = "assistant"
"""Opened to cohorts and shares of tenants with `python -m app.flags set assistant …`."""

_require_flag = require_flag(FLAG)


async def require_assistant(request: Request, identity: CurrentIdentity, flags: CurrentFlags) -> None:
    """Answer 404 to whom the assistant is not open; on a machine without Redis there are no flags, and it is."""
    settings: Settings = request.state.settings
    if settings.redis_url is not None:
        await _require_flag(identity, flags)


router = APIRouter(
    prefix="/v1/assistant",
    tags=["assistant"],
    dependencies=[Depends(require_assistant)],
    responses=PROBLEM_RESPONSES,
)


# Not `EventStream`, whose media type the framework would describe as one string.
@router.post("/replies", response_class=Response, responses=STREAM_RESPONSES, status_code=HTTPStatus.OK)
async def reply(
    body: ReplyCreate, identity: CurrentIdentity, assistant: Assistant, reports: CurrentErrorReports
) -> EventStream:
    """Let the assistant reply, piece by piece."""
    return EventStream(
        assistant.reply(identity, body.messages),
        max_seconds=assistant.stream_max_seconds,
        report=partial(reports.capture, where=f"{router.prefix}/replies"),
    )
