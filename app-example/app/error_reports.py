"""Reports of unhandled exceptions: Sentry, where an address is configured.

Owns the client of an application, what a report says, and where exceptions of requests are seen. A report has the
exception as logs tell it, its frames, environment, release and the ids under which logs and traces are found.
Deliberately not `sentry_sdk.init`, which instruments the whole process and collects requests, variables, log lines and
breadcrumbs: what is never collected needs no scrubbing (`send_default_pii` is off by default, and its name deprecated).
What is sent is made from a list, not by leaving out.
Source: https://develop.sentry.dev/sdk/foundations/envelopes/event-payloads/
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from opentelemetry import trace
from starlette.types import ASGIApp, Receive, Scope, Send

from app.metrics import Metrics
from app.redaction import without_values
from app.request_context import current_ids, route_template
from app.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk import Client
    from sentry_sdk.types import Event, Hint

FLUSH_SECONDS = 2.0
"""Longest that a shutdown waits for reports that are under way."""
_KEPT = frozenset({"environment", "event_id", "exception", "level", "platform", "release", "sdk", "tags", "timestamp"})
_KEPT_OF_FRAME = frozenset({"filename", "function", "in_app", "lineno", "module"})


class ErrorReports:
    """Counts the unhandled exceptions of one process, and reports them where there is a tracker."""

    def __init__(self, client: "Client | None", metrics: Metrics) -> None:
        """Report through a client that somebody else closes; count only, where there is none."""
        self._client = client
        self._metrics = metrics

    def capture(self, error: BaseException, *, where: str) -> None:
        """Report an exception that nobody handled; returns at once, a thread sends it.

        Args:
            error: The exception.
            where: A route's template, or the name of a job: what the tracker groups and filters by.
        """
        self._metrics.exception(error)
        trace.get_current_span().set_attribute("exception.type", type(error).__qualname__)
        if self._client is not None:
            _send(self._client, error, {"where": where, **{name: each for name, each in current_ids().items() if each}})


async def get_error_reports(request: Request) -> ErrorReports:
    """Find the reports that the lifespan opened."""
    found: ErrorReports = request.state.error_reports
    return found


CurrentErrorReports = Annotated[ErrorReports, Depends(get_error_reports)]


class ReportedErrors:
    """Plain ASGI middleware inside the one that answers 500: what passes here, nobody handled."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            Exception: What the application raised.
        """
        try:
            await self._app(scope, receive, send)
        except Exception as exc:
            reports: ErrorReports | None = scope.get("state", {}).get("error_reports")
            if reports is not None:
                reports.capture(exc, where=route_template(scope) or "unmatched")
            raise


@asynccontextmanager
async def open_error_reports(settings: Settings, metrics: Metrics) -> AsyncGenerator[ErrorReports]:
    """Give the reports of the process; what is under way at the end is still sent."""
    if settings.sentry_dsn is None:
        yield ErrorReports(None, metrics)
        return
    # Importing it binds a socket (urllib3 looks for IPv6), and takes a sixth of a second that few need.
    from sentry_sdk import Client  # noqa: PLC0415

    client = Client(settings.sentry_dsn.get_secret_value(), **_options(settings))
    try:
        yield ErrorReports(client, metrics)
    finally:
        await asyncio.to_thread(client.close, FLUSH_SECONDS)


def _send(client: "Client", error: BaseException, tags: dict[str, str]) -> None:
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415

    event, hint = event_from_exception(error, client.options, {"type": "generic", "handled": False})
    client.capture_event({**event, "tags": tags}, hint)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "auto_enabling_integrations": False,
        "auto_session_tracking": False,
        "before_send": _scrubbed,
        "default_integrations": False,
        "enable_backpressure_handling": False,
        "environment": settings.environment.value,
        "include_local_variables": False,
        "include_source_context": False,
        "max_breadcrumbs": 0,
        "release": settings.release,
        "send_client_reports": False,
        "spotlight": False,
    }


def _scrubbed(event: "Event", _hint: "Hint") -> "Event":
    kept: dict[str, Any] = {name: value for name, value in event.items() if name in _KEPT}
    exceptions: list[dict[str, Any]] = kept.get("exception", {}).get("values", [])
    kept["exception"] = {"values": [_told(each) for each in exceptions]}
    return kept  # pyright: ignore[reportReturnType]


def _told(exception: dict[str, Any]) -> dict[str, Any]:
    stack: dict[str, list[dict[str, Any]]] = exception.get("stacktrace") or {}
    shown = [
        {name: value for name, value in frame.items() if name in _KEPT_OF_FRAME} for frame in stack.get("frames", [])
    ]
    return {
        "mechanism": exception.get("mechanism"),
        "module": exception.get("module"),
        "stacktrace": {"frames": shown},
        "type": exception.get("type"),
        "value": without_values(str(exception.get("value") or "")),
    }
