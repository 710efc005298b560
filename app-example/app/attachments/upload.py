"""Reading one file from a request.

Owns the limits of an upload: how many bytes, how long until it is stored, how many at once, of all and of one user.
What is too large is refused before the first byte where the client says so, and at the limit where it does not; no more
than `UPLOAD_MAX_BYTES` is ever kept, in memory up to a megabyte and in the temporary folder beyond. Deliberately not
FastAPI's `UploadFile` parameter, which reads a body of any size before the endpoint is asked.
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
from app.auth.tokens import Identity
from app.settings import Settings
from app.shares import ShareExceededError, Shares

FIELD = "file"
FORM_OVERHEAD_BYTES = 4096
"""Boundaries and headers around the file."""
UPLOADS_AT_ONCE = 8
"""Of one process; the temporary folder has room for that many."""
UPLOADS_PER_USER = 2
"""Of those; or one account could keep all others out."""
RETRY_SECONDS = 2
"""When it is worth trying again."""
UPLOAD_SECONDS = 25
"""Longest from the first byte to the commit: below the 30 s that a load balancer and a stop give a request."""

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


class UploadSlots:
    """The uploads of one process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._free = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._shares = Shares(UPLOADS_PER_USER)

    @asynccontextmanager
    async def slot(self, identity: Identity) -> AsyncGenerator[None]:
        """Give a slot for as long as the context lasts, or answer at once that there is none."""
        if self._free.locked():
            raise _refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too many uploads at this moment.")
        try:
            with self._shares.taken(identity.user_id):
                async with self._free:
                    yield
        except ShareExceededError:
            raise _refused(HTTPStatus.TOO_MANY_REQUESTS, "Too many of your uploads are under way.") from None


async def received_file(request: Request, identity: CurrentIdentity) -> AsyncGenerator[ReceivedFile]:
    """Read the file of a form; nothing is read for somebody who is not signed in.

    What the route does with the file is within the same time.
    """
    settings: Settings = request.state.settings
    slots: UploadSlots = request.state.upload_slots
    limit = asyncio.timeout(UPLOAD_SECONDS)
    file: UploadFile | None = None
    try:
        async with slots.slot(identity), limit, _file(request, settings.upload_max_bytes) as file:
            kind = media_type(await file.read(HEAD_BYTES))
            if kind is None:
                raise HTTPException(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail=f"The content is none of {', '.join(ACCEPTED)}."
                )
            await file.seek(0)
            yield ReceivedFile(file, kind, display_name(file.filename or ""), file.size or 0)
    except TimeoutError:
        if not limit.expired():
            raise
        if file is None:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail="The upload took too long.") from None
        raise _refused(HTTPStatus.SERVICE_UNAVAILABLE, "The file could not be stored in time.") from None


# Scope "function": what the upload occupies is free before the response is sent, however slowly the client reads.
Upload = Annotated[ReceivedFile, Depends(received_file, scope="function")]


@asynccontextmanager
async def _file(request: Request, max_bytes: int) -> AsyncGenerator[UploadFile]:
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail="The body must be multipart/form-data.")
    parser = MultiPartParser(request.headers, _limited(request, max_bytes), max_files=1, max_fields=0)
    try:
        form = await parser.parse()
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


def _refused(status: HTTPStatus, detail: str) -> HTTPException:
    return HTTPException(status, detail=detail, headers={"Retry-After": str(RETRY_SECONDS)})


def _too_large(max_bytes: int) -> HTTPException:
    # 413's name in `http` depends on the version of Python.
    return HTTPException(413, detail=f"A file may have {max_bytes} bytes.")


def _malformed(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail)
