"""How a migration ends, and how it says so.

Owns the exit statuses and the lines: JSON on stdout, one for each step, and a last one that says what happened. The
last message also goes to the pod's termination log, where `kubectl describe` and Pulumi show it. Deliberately prints no
statement, no value of a row and no address: only what the database itself calls the problem.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

LONGEST_MESSAGE = 1500
"""Bytes; Kubernetes keeps 2,048 bytes of a termination message."""


class Outcome(IntEnum):
    """Exit status of the runner."""

    DONE = 0
    """The schema is as this image needs it, or newer and declared compatible, or nothing was asked."""
    FAILED = 1
    """A revision failed and was rolled back; a statement timeout counts as one."""
    USAGE = 2
    """The command line, `DATABASE_URL` or the revisions themselves are wrong; the database was not changed."""
    UNREACHABLE = 3
    """Postgres cannot be reached or refuses the login."""
    BUSY = 4
    """Another runner was still at work at the deadline."""
    LOCKED = 5
    """A table stayed locked until the deadline; the revision that needed it was rolled back."""
    BEHIND = 6
    """`verify` only: revisions of this image have not been applied."""
    AHEAD = 7
    """The database is newer than this image and does not declare that the image may run on it."""
    POOLER = 8
    """The address leads through a connection pooler."""
    EARLY = 9
    """A contract revision would take away what the release that serves now still needs."""
    TERMINATED = 143
    """A signal ended the run; what was not committed was rolled back."""


class Stop(Exception):
    """Ends a run with an outcome and one sentence."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Report:
    """Says what happens, and never a secret."""

    def __init__(self, secrets: Iterable[str], termination_log: Path) -> None:
        self._secrets = sorted({each for each in secrets if each}, key=len, reverse=True)
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
            try:
                self._termination_log.write_text(self._clean(message))
            except OSError as exc:
                raise SystemExit(int(outcome)) from exc
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
