"""HTTP interface of the assistant, version 1.

Owns the path and what its description says. Deliberately decides nothing: one call to the service.
"""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends

from app.assistant.event_stream import EventStream
from app.assistant.schemas import ReplyCreate
from app.assistant.service import Assistant
from app.auth.identity import current_identity
from app.errors import PROBLEM_RESPONSES

STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {
        "description": "Server-Sent Events: `delta` with the next piece of the reply, as often as there is one; at the "
        "end `done` with why it ended, or `error` with a problem when it broke off. Comments keep the connection open.",
        "content": {
            EventStream.media_type: {
                "example": 'event: delta\ndata: {"text":"Hello"}\n\nevent: done\ndata: {"reason":"complete"}\n\n'
            }
        },
    }
}

router = APIRouter(
    prefix="/v1/assistant",
    tags=["assistant"],
    dependencies=[Depends(current_identity)],
    responses=PROBLEM_RESPONSES,
)


@router.post("/replies", response_class=EventStream, responses=STREAM_RESPONSES, status_code=HTTPStatus.OK)
async def reply(body: ReplyCreate, assistant: Assistant) -> EventStream:
    """Let the assistant reply, piece by piece."""
    return EventStream(assistant.reply(body.messages), max_seconds=assistant.stream_max_seconds)
