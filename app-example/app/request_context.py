"""The context of one request.

Owns the request id (accepted or made, remembered, returned) and the one log line per request. Deliberately
logs no query, header or body, which may hold secrets or personal data.
"""

import logging
import re
import time
from contextvars import ContextVar
from http import HTTPStatus
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER = "X-Request-ID"
PROBE_PREFIX = "/healthz/"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request being served; None outside a request."""
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Id of the trace that the request belongs to, 32 hexadecimal digits; None outside a request."""

# An id goes into logs and headers as it came: nothing that could break a line or pass for another field.
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_logger = logging.getLogger(__name__)


class RequestContext:
    """Plain ASGI middleware; the outermost, so that every answer and every log line has the id."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = _accepted_or_new(Headers(scope=scope).get(REQUEST_ID_HEADER))
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = current
            await send(message)

        token = request_id.set(current)
        trace_id.set(uuid4().hex)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _log(scope, status, time.perf_counter() - started)
            request_id.reset(token)


def _accepted_or_new(candidate: str | None) -> str:
    return candidate if candidate and _ACCEPTED_ID.fullmatch(candidate) else uuid4().hex


def _log(scope: Scope, status: int | None, duration_seconds: float) -> None:
    path: str = scope["path"]
    quiet = path.startswith(PROBE_PREFIX) and status == HTTPStatus.OK
    fields = {
        "method": scope["method"],
        "path": path,
        "status": status,
        "duration_ms": round(duration_seconds * 1000, 1),
    }
    _logger.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})
