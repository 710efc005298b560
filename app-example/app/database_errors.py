"""What went wrong between the application and Postgres.

Owns two judgements: whether an error means that the database cannot serve now, and which of its words are safe to
keep. An error is judged and cleaned where it is born, so that no log, trace or report can show a value that somebody
sent. Deliberately hides no mistake of ours: a wrong statement stays an error of the program.

Sources: https://www.postgresql.org/docs/current/errcodes-appendix.html
https://docs.sqlalchemy.org/en/21/core/events.html#sqlalchemy.events.DialectEvents.handle_error
"""

from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

_AWAY = ("08", "28", "3D", "53", "57")
"""Classes of SQLSTATE: connection, login, no such database, insufficient resources, operator intervention. 57 has the
statement that took too long, 53 the server without a free connection."""
_LATER = {"25006", "40001", "40P01", "55P03"}
"""Read-only, as in a failover; and another transaction in the way."""
_UNSTORABLE = {"22021", "22P05"}
"""Text that Postgres has no form for: the character NUL."""
_NAMES_ONLY = (*_AWAY, "23", "25", "40", "42", "55")
"""Classes whose message has names of ours in it: tables, columns, constraints. All others may quote a value."""


class DatabaseUnavailableError(ConnectionError):
    """The database cannot be reached, or did not answer in time."""


def is_outage(error: Exception) -> bool:
    """Whether the same request may well succeed later, because the database does not serve now."""
    if isinstance(error, DatabaseUnavailableError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    return error.connection_invalidated or state.startswith(_AWAY) or state in _LATER


def is_unstorable(error: DBAPIError) -> bool:
    """Whether the request had text that cannot be stored."""
    return sqlstate(error) in _UNSTORABLE


def sqlstate(error: Exception) -> str:
    """Return the code that Postgres gave the error; empty where there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


class _Connection(asyncpg.Connection):
    """A connection whose transactions begin soon or not at all.

    A pooler answers for a server that is away by letting clients wait. The first that a client hears of it is that
    its transaction does not begin, which is the same as a connection that does not open.
    """

    begin_timeout_seconds: float | None = None
    """Set once it is open: the driver makes its connections itself."""

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement; SQLAlchemy sends those around transactions this way, and its pre-ping begins one."""
        if not query.startswith("BEGIN"):
            return await super().execute(query, *args, **options)
        try:
            return await super().execute(query, *args, **{"timeout": self.begin_timeout_seconds, **options})
        except OSError as exc:
            raise DatabaseUnavailableError(f"no transaction begins: {type(exc).__name__}") from exc


async def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection, and allow its transactions as long to begin as it may take to open.

    Raises:
        DatabaseUnavailableError: Nothing answers there. The driver's own error could come from anywhere.
    """
    try:
        connection = cast(_Connection, await asyncpg.connect(*arguments, **options, connection_class=_Connection))
        connection.begin_timeout_seconds = options.get("timeout")
        return connection
    except OSError as exc:
        raise DatabaseUnavailableError(f"cannot connect: {type(exc).__name__}") from exc


def watch(engine: AsyncEngine) -> None:
    """Judge and clean every error of an engine before anybody sees it."""
    event.listen(engine.sync_engine, "handle_error", _handle)


def _handle(context: ExceptionContext) -> BaseException | None:
    error = context.original_exception
    if isinstance(error, OSError) and not context.is_pre_ping:
        return DatabaseUnavailableError(f"no answer: {type(error).__name__}")
    _clean(context.sqlalchemy_exception, error, error.__cause__)
    return None


def _clean(*errors: BaseException | None) -> None:
    state: str = getattr(errors[1], "sqlstate", None) or ""
    for error in filter(None, errors):
        for name in ("detail", "hint"):
            if isinstance(getattr(error, name, None), str):
                setattr(error, name, None)
        if state and not state.startswith(_NAMES_ONLY):
            error.args = (f"SQLSTATE {state}; the message may hold values and is not kept",)
            if isinstance(error, asyncpg.PostgresError):
                # The driver's own conversion, which quotes the value.
                error.__cause__ = None
                error.__context__ = None
