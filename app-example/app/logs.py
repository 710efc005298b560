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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from opentelemetry import trace
from typing_extensions import override

from app import redaction
from app.request_context import current_ids
from app.settings import Settings

_encode = json.JSONEncoder(default=str).encode
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
            "formatters": {"json": {"()": JsonFormatter, "origin": origin}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "formatter": "json",
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


class JsonFormatter(logging.Formatter):
    """Writes the record, the request it belongs to and the fields of the call as one object."""

    def __init__(self, origin: Origin) -> None:
        """Format on behalf of a process."""
        super().__init__()
        self._origin = asdict(origin)

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON has no form for is written as text."""
        message, exception = _message(record)
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            **self._origin,
            "logger": record.name,
            "message": message,
            **current_ids(),
            "span_id": _span_id(),
            "exception": exception,
        }
        for name, value in redaction.without_sensitive(getattr(record, "fields", {})).items():
            # A field of a call adds to the line and replaces nothing in it.
            line.setdefault(name, value)
        return _encode({name: value for name, value in line.items() if value is not None})


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
