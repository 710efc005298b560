"""What the application did to its database, as SQLAlchemy's events tell it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool


@dataclass
class Observed:
    """Filled while `observe` runs; of every engine in the process."""

    statements: list[str] = field(default_factory=list[str])
    """What was executed, with `COMMIT` and `ROLLBACK` in their places."""
    parameters: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    """Parameters of what was executed; none of `COMMIT` and `ROLLBACK`."""
    checked_out: int = 0
    """Connections that are in use at this moment."""
    most_checked_out: int = 0


@contextmanager
def observe() -> Generator[Observed]:
    """Watch until the end of the block."""
    seen = Observed()

    def executed(*arguments: Any) -> None:
        seen.statements.append(arguments[2])
        seen.parameters.append(tuple(arguments[3]))

    def committed(_connection: object) -> None:
        seen.statements.append("COMMIT")

    def rolled_back(_connection: object) -> None:
        seen.statements.append("ROLLBACK")

    def checked_out(*_: object) -> None:
        seen.checked_out += 1
        seen.most_checked_out = max(seen.most_checked_out, seen.checked_out)

    def checked_in(*_: object) -> None:
        seen.checked_out -= 1

    listeners = (
        (Engine, "before_cursor_execute", executed),
        (Engine, "commit", committed),
        (Engine, "rollback", rolled_back),
        (Pool, "checkout", checked_out),
        (Pool, "checkin", checked_in),
    )
    for target, name, listener in listeners:
        event.listen(target, name, listener)
    try:
        yield seen
    finally:
        for target, name, listener in listeners:
            event.remove(target, name, listener)
