"""HTTP interface of exports, version 1.

Owns paths, statuses and headers. The answer goes out before the work is put into the queue: that is short, and may be
lost, and is therefore a background task of the request. Deliberately decides nothing: each endpoint makes one call to
the service.
"""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import StreamingResponse

from app.auth.identity import CurrentIdentity
from app.edge.responses import DOWNLOAD_HEADERS
from app.errors import PROBLEM_RESPONSES
from app.exports.jobs import RUN
from app.exports.schemas import ExportRead
from app.exports.service import ExportNotDoneError, ExportNotFoundError, Exports, TooManyExportsError
from app.idempotency import CurrentIdempotencyKey
from app.queue import LaterJobs

router = APIRouter(prefix="/v1/exports", tags=["exports"], responses=PROBLEM_RESPONSES)

POLL_SECONDS = 2
"""When a client should ask again."""


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def request_export(
    identity: CurrentIdentity,
    exports: Exports,
    key: CurrentIdempotencyKey,
    jobs: LaterJobs,
    response: Response,
) -> ExportRead:
    """Ask for a file of all orders of the tenant; where to look for it is in `Location`."""
    with _problems():
        export = await exports.request(identity, key)
    jobs.put(RUN, export.id)
    response.headers["Location"] = f"{router.prefix}/{export.id}"
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return export


@router.get("/{export_id}")
async def read_export(export_id: UUID, identity: CurrentIdentity, exports: Exports, response: Response) -> ExportRead:
    """Return an export and how far it is."""
    with _problems():
        export = await exports.find(identity, export_id)
    if export.finished_at is None:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return export


@router.get(
    "/{export_id}/content",
    response_class=StreamingResponse,
    responses={200: {"description": "The orders, the oldest first.", "content": {"text/csv": {}}}},
)
async def download_export(export_id: UUID, identity: CurrentIdentity, exports: Exports) -> StreamingResponse:
    """Return the file of a finished export."""
    with _problems():
        download = await exports.open(identity, export_id)
    headers = {
        **DOWNLOAD_HEADERS,
        "Content-Disposition": f'attachment; filename="orders-{export_id}.csv"',
        "Content-Length": str(download.export.size_bytes),
    }
    return StreamingResponse(download.content, headers=headers, media_type="text/csv; charset=utf-8; header=present")


@contextmanager
def _problems() -> Generator[None]:
    try:
        yield
    except ExportNotFoundError:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail="There is no such export.") from None
    except ExportNotDoneError:
        raise HTTPException(HTTPStatus.CONFLICT, detail="The export is not done.") from None
    except TooManyExportsError:
        raise HTTPException(
            HTTPStatus.TOO_MANY_REQUESTS,
            detail="Too many exports are waiting.",
            headers={"Retry-After": str(POLL_SECONDS)},
        ) from None
