"""The context of one request.

Owns the ids by which all that a request leaves behind is found again (request, trace, user, tenant), the one log line
per request, and what the metrics learn of it. Deliberately logs no path, query, header or body, which may hold secrets
or personal data: the route's template says which endpoint it was. Deliberately not `asgi-correlation-id`: it knows no
trace, and would be one more pass over the headers of each request.
Source of the trace's header: https://www.w3.org/TR/trace-context/#traceparent-header
"""

import logging
import random
import re
import time
from http import HTTPStatus

from fastapi_platform_runtime.health import LIVE_PATH, READY_PATH, STARTUP_PATH
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.ids import bind_identity, current_ids, identity, request_id, trace_id
from app.metrics import METHODS, OTHER_METHOD, Metrics

__all__ = ["RequestContext", "bind_identity", "current_ids", "is_probe", "request_id", "route_template", "trace_id"]

_HEADER = b"x-request-id"
PROBES = frozenset({LIVE_PATH, READY_PATH, STARTUP_PATH})
"""Their whole paths: below them anybody can make up another, which is traffic like all other."""

# An id goes into logs and headers as it came: nothing that could break a line or pass for another field.
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_logger = logging.getLogger(logs.OF_REQUESTS)


class RequestContext:
    """Plain ASGI middleware; outside all but tracing, so that every answer and every log line has the ids."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given_id, traceparent = _given(scope)
        current = _accepted_or_new(given_id)
        metrics: Metrics | None = None if is_probe(scope) else scope.get("state", {}).get("metrics")
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, current.encode())]
            await send(message)

        tokens = request_id.set(current), trace_id.set(_trace_id(traceparent)), identity.set({})
        started = time.perf_counter()
        if metrics:
            metrics.request_began()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            if metrics:
                metrics.request_ended(scope["method"], route_template(scope), status, seconds)
            _log(scope, status, seconds)
            request_id.reset(tokens[0])
            trace_id.reset(tokens[1])
            identity.reset(tokens[2])


def is_probe(scope: Scope) -> bool:
    """Whether the platform asks for our health: many times a minute, and of no interest while all is well."""
    return scope["path"] in PROBES


def route_template(scope: Scope) -> str | None:
    """Return the path of the route with the names of its parameters; None while, or where, no route matched."""
    # With `include_router(…, prefix=…)` only FastAPI's own notes have the whole path.
    matched = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template: str | None = getattr(matched, "path_format", None)
    return template


def _given(scope: Scope) -> tuple[str | None, bytes | None]:
    given_id: str | None = None
    traceparent: bytes | None = None
    for name, value in scope["headers"]:
        if name == _HEADER:
            given_id = value.decode("latin-1")
        elif name == b"traceparent":
            traceparent = value
    return given_id, traceparent


def _accepted_or_new(candidate: str | None) -> str:
    return candidate if candidate and _ACCEPTED_ID.fullmatch(candidate) else _new()


def _new() -> str:
    # Nobody may guess a token; an id is only to be told from others.
    return f"{random.getrandbits(128):032x}"


def _trace_id(traceparent: bytes | None) -> str:
    traced = trace.get_current_span().get_span_context()
    if traced.is_valid:
        return trace.format_trace_id(traced.trace_id)
    matched = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return matched[1].decode() if matched else _new()


def _log(scope: Scope, status: int | None, seconds: float) -> None:
    probe = is_probe(scope)
    level = logging.DEBUG if probe and status == HTTPStatus.OK else logging.INFO
    if _logger.isEnabledFor(level):
        method = scope["method"]
        fields = {
            "method": method if method in METHODS else OTHER_METHOD,
            # The probes' routes are none of FastAPI's, and have no parameters.
            "route": scope["path"] if probe else route_template(scope),
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
        }
        logs.write_request(logging.getLevelName(level), fields)
