"""HTTP interface of attachments, version 1.

Owns paths, statuses and headers. A file is always given as a download of its judged type, so that no browser runs
what somebody uploaded. Deliberately decides nothing: each endpoint makes one call to the service.
"""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import StreamingResponse

from app.attachments.content import ACCEPTED
from app.attachments.schemas import AttachmentList, AttachmentRead
from app.attachments.service import AttachmentNotFoundError, Attachments, TooManyAttachmentsError
from app.attachments.upload import FORM, Upload
from app.edge.responses import DOWNLOAD_HEADERS
from app.errors import PROBLEM_RESPONSES
from app.idempotency import CurrentIdempotencyKey

router = APIRouter(prefix="/v1/orders/{order_id}/attachments", tags=["attachments"], responses=PROBLEM_RESPONSES)


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=FORM)
async def add_attachment(
    order_id: UUID,
    key: CurrentIdempotencyKey,
    file: Upload,
    attachments: Attachments,
    response: Response,
) -> AttachmentRead:
    """Attach a file to an order: PDF, JPEG, PNG or WebP, judged by its content."""
    with _problems():
        attachment = await attachments.add(order_id, file, key)
    response.headers["Location"] = f"/v1/orders/{order_id}/attachments/{attachment.id}"
    return attachment


@router.get("")
async def list_attachments(order_id: UUID, attachments: Attachments) -> AttachmentList:
    """Return the files of an order."""
    with _problems():
        return await attachments.list(order_id)


@router.get(
    "/{attachment_id}",
    response_class=StreamingResponse,
    responses={200: {"description": "The file.", "content": {kind: {} for kind in ACCEPTED}}},
)
async def download_attachment(order_id: UUID, attachment_id: UUID, attachments: Attachments) -> StreamingResponse:
    """Return a file as a download."""
    with _problems():
        download = await attachments.open(order_id, attachment_id)
    headers = {
        **DOWNLOAD_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download.attachment.name, safe='')}",
        "Content-Length": str(download.attachment.size_bytes),
    }
    return StreamingResponse(download.content, headers=headers, media_type=download.attachment.media_type)


@router.delete("/{attachment_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove_attachment(order_id: UUID, attachment_id: UUID, attachments: Attachments) -> None:
    """Remove a file for good."""
    with _problems():
        await attachments.remove(order_id, attachment_id)


@contextmanager
def _problems() -> Generator[None]:
    try:
        yield
    except AttachmentNotFoundError:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail="There is no such order or attachment.") from None
    except TooManyAttachmentsError:
        raise HTTPException(HTTPStatus.CONFLICT, detail="The order has as many attachments as it may have.") from None
