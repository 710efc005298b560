"""Reading one file from a request.

Owns the limits while the bytes arrive: how many, how long, how many uploads at once. What is too large is refused
before the first byte where the client says so, and at the limit where it does not; no more than `UPLOAD_MAX_BYTES`
is ever kept, in memory up to a megabyte and in the temporary folder beyond. Deliberately not FastAPI's `UploadFile`
parameter, which reads a body of any size before the endpoint is asked.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from app.attachments.content import ACCEPTED, HEAD_BYTES, display_name, media_type
from app.auth.identity import CurrentIdentity
from app.settings import Settings

FIELD = "file"
FORM_OVERHEAD_BYTES = 4096
"""Boundaries and headers around the file."""
UPLOADS_AT_ONCE = 8
"""Of one process; the temporary folder has room for that many."""
UPLOAD_SECONDS = 25
"""Longest that a client takes to send a file; below the time limit of a request."""

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
"""For `openapi_extra=` of the route."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of an accepted kind and size, which lives as long as the request."""

    content: UploadFile
    media_type: str
    name: str
    """For people only."""
    size_bytes: int


async def received_file(request: Request, _identity: CurrentIdentity) -> AsyncGenerator[ReceivedFile]:
    """Read the file of a form; nothing is read for somebody who is not signed in."""
    settings: Settings = request.state.settings
    slots: asyncio.Semaphore = request.state.upload_slots
    if slots.locked():
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, detail="Too many uploads at this moment.", headers={"Retry-After": "2"}
        )
    async with slots, _file(request, settings.upload_max_bytes) as file:
        kind = media_type(await file.read(HEAD_BYTES))
        if kind is None:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail=f"The content is none of {', '.join(ACCEPTED)}."
            )
        await file.seek(0)
        yield ReceivedFile(file, kind, display_name(file.filename or ""), file.size or 0)


Upload = Annotated[ReceivedFile, Depends(received_file)]


@asynccontextmanager
async def _file(request: Request, max_bytes: int) -> AsyncGenerator[UploadFile]:
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail="The body must be multipart/form-data.")
    parser = MultiPartParser(request.headers, _limited(request, max_bytes), max_files=1, max_fields=0)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            form = await parser.parse()
    except TimeoutError:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail="The upload took too long.") from None
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail="The upload was broken off.") from None
    except MultiPartException as exc:
        raise _malformed(exc.message) from None
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise _malformed(f"The form has no file `{FIELD}`.")
        if (file.size or 0) > max_bytes:
            raise _too_large(max_bytes)
        yield file
    finally:
        await form.close()


async def _limited(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    most = max_bytes + FORM_OVERHEAD_BYTES
    stated = request.headers.get("Content-Length", "")
    if stated.isdecimal() and int(stated) > most:
        raise _too_large(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> HTTPException:
    # 413's name in `http` depends on the version of Python.
    return HTTPException(413, detail=f"A file may have {max_bytes} bytes.")


def _malformed(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail)
