"""What the application did to its database on a test's behalf, as SQLAlchemy's events tell it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

Listener = Callable[..., None]
_observed: ContextVar["Observed | None"] = ContextVar("observed", default=None)
"""Tasks that were started before the block, such as the worker's, have none."""


@dataclass
class Observed:
    """Filled while `observe` runs, by what the block calls: not by the worker that runs beside it."""

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

    def checked_out(*_: object) -> None:
        seen.checked_out += 1
        seen.most_checked_out = max(seen.most_checked_out, seen.checked_out)

    def checked_in(*_: object) -> None:
        seen.checked_out -= 1

    heard: tuple[tuple[type, str, Listener], ...] = (
        (Engine, "before_cursor_execute", executed),
        (Engine, "commit", lambda *_: seen.statements.append("COMMIT")),
        (Engine, "rollback", lambda *_: seen.statements.append("ROLLBACK")),
        (Pool, "checkout", checked_out),
        (Pool, "checkin", checked_in),
    )
    listeners = [(target, name, _of(seen, listener)) for target, name, listener in heard]
    for target, name, listener in listeners:
        event.listen(target, name, listener)
    token = _observed.set(seen)
    try:
        yield seen
    finally:
        _observed.reset(token)
        for target, name, listener in listeners:
            event.remove(target, name, listener)


def _of(seen: Observed, listener: Listener) -> Listener:
    """Return a listener that hears only what the block called."""

    def hear(*arguments: Any) -> None:
        if _observed.get() is seen:
            listener(*arguments)

    return hear
