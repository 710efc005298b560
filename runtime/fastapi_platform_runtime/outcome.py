"""How a migration ends, and how it says so.

Owns the exit statuses and the lines: JSON on stdout, one for each step, and a last one that says what happened. The
last message also goes to the pod's termination log, where `kubectl describe` and Pulumi show it. Deliberately prints no
statement, no value of a row and no address: only what the database itself calls the problem.
"""

import contextlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHORTEST_SECRET = 4
"""Characters; to hide a shorter one wherever it occurs in a word would say what it is."""
LONGEST_MESSAGE = 1500
"""Bytes; Kubernetes keeps 2,048 bytes of a termination message."""


class Outcome(IntEnum):
    """Exit status of the runner, each with what it means."""

    meaning: str

    def __new__(cls, status: int, meaning: str) -> "Outcome":
        """Keep the status as the value, and the meaning beside it."""
        made = int.__new__(cls, status)
        made._value_ = status
        made.meaning = meaning
        return made

    DONE = 0, "the schema is as this image needs it, or newer and compatible"
    FAILED = 1, "a revision failed; what it did not commit by itself was rolled back"
    USAGE = 2, "options, DATABASE_URL or the revisions are wrong; nothing was changed"
    UNREACHABLE = 3, "no connection, or the login is refused"
    BUSY = 4, "another runner was still at work at the deadline"
    LOCKED = 5, "a table stayed locked until the deadline; what was not committed was rolled back"
    BEHIND = 6, "verify: revisions are missing"
    AHEAD = 7, "the database is newer and does not declare this image compatible"
    POOLER = 8, "the address leads through a pooler"
    EARLY = 9, "a contract before the release that allows it"
    TERMINATED = 143, "a signal; what was not committed was rolled back"


class Stop(Exception):
    """Ends a run with an outcome and one sentence."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Report:
    """Says what happens, and never a secret."""

    def __init__(self, secrets: Iterable[str], termination_log: Path) -> None:
        self._secrets = sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._termination_log = termination_log

    def say(self, event: str, message: str, severity: str = "INFO", **fields: object) -> None:
        """Print one line."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"timestamp": moment, "severity": severity, "event": event, "message": self._clean(message), **fields}
        print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 the lines are what this command is for

    def end(self, outcome: Outcome, message: str) -> int:
        """Print the last line, leave the message to whoever looks at the pod, and return the exit status."""
        severity = "ERROR" if outcome else "INFO"
        self.say("end", message, severity, outcome=outcome.name.lower(), exit_status=int(outcome))
        if self._termination_log.is_file():
            with contextlib.suppress(OSError):
                self._termination_log.write_text(self._clean(message))
        return int(outcome)

    def _clean(self, message: str) -> str:
        for secret in self._secrets:
            message = message.replace(secret, "[secret]")
        line = " ".join(message.split()).encode(errors="replace")
        return line[:LONGEST_MESSAGE].decode(errors="ignore")


def secrets_of(address: str) -> tuple[str, ...]:
    """The password in a database address, as written and as meant; the whole address when it cannot be read."""
    try:
        password = urlsplit(address).password or ""
    except ValueError:
        return (address,)
    return (address, password, unquote(password))
