"""Routes that the tests of the HTTP edge add to an application: each does one thing that no real route does."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.main import create_app
from app.settings import Settings
from tests.support import production_settings

SENTINEL = "sentinel-4711"
UPLOAD_MAX_BYTES = 8192


def edge_app(settings: Settings | None = None) -> FastAPI:
    """Return an application, a production unless told, with the routes of this module."""
    app = create_app(settings or production_settings(request_max_bytes=1024))
    app.include_router(router)
    app.include_router(uploads, max_body_size=UPLOAD_MAX_BYTES)
    return app


router = APIRouter(prefix="/v1/edge")
uploads = APIRouter(prefix="/v1/uploads")


@router.post("/echo")
@uploads.post("/echo")
async def echo(body: Annotated[Any, Body()]) -> Any:
    return body


@router.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/v1/edge/stream")


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        yield "first"
        yield "last"

    return StreamingResponse(chunks(), media_type="text/plain")


@router.get("/headers")
async def headers() -> Response:
    """Set what the edge owns, differently."""
    return Response(headers={"X-Frame-Options": "SAMEORIGIN", "Cache-Control": "private, max-age=5"})


@router.get("/public")
async def public() -> Response:
    return Response("same for all", headers={"Cache-Control": "public, max-age=60", "Vary": "Accept"})


@router.get("/html")
async def html() -> HTMLResponse:
    return HTMLResponse("<script>alert(1)</script>")


@router.get("/plain-error")
async def plain_error() -> PlainTextResponse:
    return PlainTextResponse("no tea", 418, headers={"X-Kept": "yes"})


@router.get("/failing/{status}")
async def failing(status: int) -> None:
    raise HTTPException(status, headers={"Retry-After": "7", "Cache-Control": "public, max-age=60"})


@router.get("/broken")
async def broken() -> None:
    raise RuntimeError(f"{SENTINEL}: FROM accounts")


@router.get("/broken-stream")
async def broken_stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        yield "first"
        raise RuntimeError(SENTINEL)

    return StreamingResponse(chunks(), media_type="text/plain")


async def broken_dependency() -> None:
    raise RuntimeError(f"{SENTINEL} {__file__}")


@router.get("/broken-dependency", dependencies=[Depends(broken_dependency)])
async def behind_a_broken_dependency() -> None: ...


class BrokenMiddleware:
    """Fails on every request."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fail."""
        raise RuntimeError(SENTINEL)
