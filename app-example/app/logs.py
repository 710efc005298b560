"""Logs: one JSON object a line on standard output.

Owns the format and where it goes, for our loggers, the server's and Python's warnings. Deliberately owns no
shipping, rotation or sampling: the platform collects standard output.
"""

import json
import logging
import logging.config
from datetime import UTC, datetime

from app.request_context import request_id, trace_id


class JsonFormatter(logging.Formatter):
    """Writes the record, the request it belongs to and `extra={"fields": {…}}` as one object."""

    def __init__(self, service: str) -> None:
        """Format on behalf of a service, whose name goes into every line."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON has no form for is written as text."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "trace_id": trace_id.get(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


def configure(service: str, level: str) -> None:
    """Send every log line of this process through the formatter.

    Called while the server loads the application, before the server's first line.
    """
    logging.captureWarnings(True)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter, "service": service}},
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
                # Replaced by the line of `RequestContext`, which has the request id and no query.
                "uvicorn.access": {"handlers": [], "propagate": False},
            },
        }
    )
