"""The lines of a log that say why.

Owns choosing them: the last error, or the last lines where nothing is one. Deliberately reads JSON lines by the common
names of their fields, and every other line as it is; a line that has lost its beginning is left out.
Source: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

import json
from dataclasses import dataclass
from typing import Any, cast

MOST = 4
CUT_FROM_BYTES = 2000
"""Of a longer end Kubernetes keeps the last 2,048 bytes, and half an address does not look like one."""
_BAD = {"ERROR", "CRITICAL", "FATAL", "WARNING", "WARN"}
_LEVELS = ("severity", "level", "levelname")
_MESSAGES = ("message", "msg", "event")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    is_bad: bool


def whole(message: str) -> str:
    """How a container ended, without a first line that may have lost its beginning; empty where that is all of it."""
    if len(message.encode(errors="replace")) < CUT_FROM_BYTES:
        return message
    return message.partition("\n")[2]


def telling(text: str, *, errors_only: bool = False) -> tuple[str, ...]:
    """At most four lines, in their order; none of an empty log.

    Args:
        text: The log.
        errors_only: Whether nothing is told where nothing is an error.
    """
    lines = [_read(line) for line in text.splitlines() if line.strip()]
    bad = [line for line in lines if line.is_bad]
    return tuple(dict.fromkeys(line.text for line in (bad if bad or errors_only else lines)[-MOST:]))


def _read(line: str) -> _Line:
    fields = _fields(line)
    if fields is None:
        return _Line(line.rstrip(), any(word in line.upper() for word in ("ERROR", "CRITICAL", "EXCEPTION", "FATAL")))
    level = next((str(fields[name]).upper() for name in _LEVELS if name in fields), "")
    message = next((str(fields[name]) for name in _MESSAGES if name in fields), line)
    error = fields.get("exception") or fields.get("exc_info") or fields.get("error")
    reason = str(error).strip().rpartition("\n")[2] if error else ""
    return _Line(" ".join(filter(None, (level, message, reason and f"({reason})"))), level in _BAD)


def _fields(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
