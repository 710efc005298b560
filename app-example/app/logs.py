"""Logs: one JSON object a line on standard output.

Owns the format and where it goes, for every logger there is: ours, the server's, the libraries', Python's warnings.
`extra={"fields": {…}}` of a call is added to its line. Deliberately owns no shipping, rotation or sampling: whoever
runs it collects standard output. Deliberately not structlog's formatter: what is in a line (ids, redaction) would be
made here all the same, and it copies every record, a fifth of what a line costs. Deliberately no vendor's name of a
field but those that all understand (`severity`, `message`, `timestamp`): `trace_id` and `span_id` are OpenTelemetry's,
and the name that Google's agent looks for would need the project's id in each line.
Source: https://cloud.google.com/logging/docs/structured-logging
"""

import json
import logging
import logging.config
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self, TextIO

from opentelemetry import trace
from typing_extensions import override

from app import redaction
from app.ids import current_ids
from app.settings import Settings

_encode = json.JSONEncoder(default=str).encode
OF_REQUESTS = "app.request_context"
"""Name of the logger of requests: its level decides, the line does without it."""
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes: goes into every line."""

    service: str
    environment: str = "unknown"
    release: str = "unknown"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Build from the settings."""
        return cls(settings.service_name, settings.environment.value, settings.release)


def configure(origin: Origin, level: str) -> None:
    """Send every log line of this process through one formatter.

    Called while the server loads the application, before the server's first line.
    """
    logging.captureWarnings(True)
    # No line says in which thread it was written; finding that out would cost each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "stdout": {
                    "()": JsonHandler,
                    "origin": origin,
                    "stream": "ext://sys.stdout",
                }
            },
            "root": {"handlers": ["stdout"], "level": level},
            "loggers": {
                "uvicorn": {"handlers": [], "propagate": True},
                "uvicorn.error": {"handlers": [], "propagate": True},
                # Would write the address of every outbound call, with its query.
                "httpx": {"level": "WARNING"},
                # A line for each attempt at a collector that is away; `app.telemetry` says it once.
                "opentelemetry.exporter": {"level": "CRITICAL"},
                # Replaced by the line of `RequestContext`, which has the request id and no query.
                "uvicorn.access": {"handlers": [], "propagate": False},
            },
        }
    )


def write_request(severity: str, fields: dict[str, Any]) -> None:
    """Write the line of a request; the fields are ours and hold nothing of what a client sent.

    It is nine lines of ten, and a `LogRecord` on its way through loggers would cost as much as the line.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, JsonHandler):
            handler.write(handler.line(time.time(), severity, OF_REQUESTS, "request", fields))


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes what happened, the request it belongs to and the fields of the call as one object."""

    def __init__(self, origin: Origin, stream: TextIO) -> None:
        """Write on behalf of a process."""
        super().__init__(stream)
        self._origin = asdict(origin)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a value that JSON has no form for is written as text."""
        try:
            message, exception = _message(record)
            fields = {**redaction.without_sensitive(getattr(record, "fields", {})), "exception": exception}
            self.write(self.line(record.created, record.levelname, record.name, message, fields))
        except Exception:
            self.handleError(record)

    def line(self, created: float, severity: str, logger: str, message: str, fields: dict[str, Any]) -> str:
        """Return the object as text; a field adds to it and replaces nothing."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
            "severity": severity,
            **self._origin,
            "logger": logger,
            "message": message,
            **current_ids(),
            "span_id": _span_id(),
        }
        line.update({name: value for name, value in fields.items() if name not in line})
        return _encode({name: value for name, value in line.items() if value is not None})

    def write(self, line: str) -> None:
        """Write a line; one that nobody reads any more is lost."""
        with suppress(OSError, ValueError):
            self.stream.write(f"{line}\n")
            self.stream.flush()


def _message(record: logging.LogRecord) -> tuple[str, str | None]:
    message = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        return redaction.without_secrets(message), redaction.told(error)
    if message.startswith(_TRACEBACK):
        # How Starlette tells the server that the application did not start.
        told = redaction.told_again(message)
        return told.rpartition("\n")[2], told
    return redaction.without_secrets(message), None


def _span_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return trace.format_span_id(context.span_id) if context.is_valid else None
