"""The one database session of a migration.

Owns the connection: that it is direct, its limits, the lock that lets one runner work at a time, and what the
database's errors mean. Lock and work share the session, so that a runner which loses one has lost both. Deliberately
keeps no pool, and tries no connection again that fell silent: what the last statement did is then not known.

How a pooler is told apart: Postgres names the process that serves a connection when it is opened, and again when asked.
A pooler has to make up the first answer, because it is what a client cancels with, and passes on the second. So they
differ behind PgBouncer in any mode, and are equal behind anything that only forwards bytes, such as a cloud's proxy.
Sources: https://www.postgresql.org/docs/current/protocol-flow.html https://www.pgbouncer.org/features.html
"""

import asyncio
import random
import re
import socket
import ssl
import time
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from .outcome import Outcome, Stop

CONNECT_TIMEOUT_SECONDS = 10.0
LOCK_CLASS = 4_202_611
"""First half of the advisory lock's key; the second is the version table's name."""
POLL_SECONDS = 0.2
SILENCE_SECONDS = 5.0
"""How much longer than the limit of a statement its answer is waited for: Postgres ends it, a dead network does not."""
DEAD_CLIENT_SECONDS = 2
"""How soon Postgres notices that a runner was killed, and ends the statement that it left behind."""
PASSING = ("55P03", "40P01", "40001")
"""Lock not available, deadlock, serialization failure: the same revision may succeed a moment later."""
STATEMENT_TIMEOUT = "57014"
NOT_NOW = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, ConnectionError, TimeoutError, OSError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "its certificate cannot be verified"),
    (socket.gaierror, "its host name is not known"),
    (ConnectionRefusedError, "nothing listens at its host and port"),
    (TimeoutError, "no answer; a firewall or a network policy may be in between"),
    (asyncpg.CannotConnectNowError, "it is starting or stopping"),
    (asyncpg.TooManyConnectionsError, "all its connections are taken"),
)
_POOLER = "FPR01"
_driver: Any = asyncpg  # It has no type hints.


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nothing is waited for."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left_seconds(self) -> float:
        """Seconds until then, 0 when it has passed."""
        return max(self.at - time.monotonic(), 0.0)


@asynccontextmanager
async def session(address: str, deadline: Deadline, statement_seconds: float) -> AsyncGenerator[AsyncConnection]:
    """Open the session, without a transaction, and close it.

    Args:
        address: DSN of Postgres itself.
        deadline: Until when a database that cannot be reached is tried again.
        statement_seconds: Longest that a statement takes; soon after a silent connection is closed. 0 for no bound.

    Raises:
        Stop: It cannot be reached, refuses the login, or is a pooler.
    """

    async def connect() -> object:
        return await _connect(address, deadline, statement_seconds + SILENCE_SECONDS if statement_seconds else None)

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, hide_parameters=True, poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def limit(connection: AsyncConnection, lock_seconds: float, statement_seconds: float) -> None:
    """Bound what each statement may wait and take; 0 statement seconds for no bound."""
    limits = {"lock_timeout": lock_seconds, "statement_timeout": statement_seconds}
    for name, seconds in limits.items():
        await connection.execute(text(f"SET {name} = {int(seconds * 1000)}"))
    await connection.commit()


async def take_lock(connection: AsyncConnection, table: str, deadline: Deadline) -> bool:
    """Wait until no other runner is at work.

    Asked again and again: a session that waits inside Postgres holds a snapshot, and an index that the other runner
    builds concurrently would wait for that snapshot for ever.

    Returns:
        Whether there was another one.

    Raises:
        Stop: It was still there at the deadline.
    """
    key = {"class": LOCK_CLASS, "table": zlib.crc32(table.encode()) - 2**31}
    waited = False
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:class, :table)"), key):
        await connection.rollback()
        if not deadline.left_seconds:
            raise Stop(Outcome.BUSY, "another migration was still running at the deadline; nothing was changed")
        waited = True
        await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))
    await connection.commit()
    return waited


def sqlstate(error: BaseException) -> str | None:
    """Postgres' code for an error, or none when it is not Postgres'."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def told(error: Exception) -> str:
    """An error in its own words, without the values of a row, and without a statement."""
    if isinstance(error, DBAPIError):
        return _told_by_database(error)
    if not isinstance(error, SQLAlchemyError):
        return f"{type(error).__name__}: {error}"
    cause = error.orig if isinstance(error, StatementError) and error.orig else error
    # In quotes SQLAlchemy shows statements, or pieces of them.
    said = str(cause.args[0]) if cause.args else ""
    shown = re.split("['\"]", said)[0]
    colon = r" (a colon in the text of a statement is written \:)" if "bind parameter" in shown else ""
    return f"{type(cause).__name__}: {shown}{'…' if shown != said else ''}{colon}"


def _told_by_database(error: DBAPIError) -> str:
    cause: Any = error.orig.__cause__ if error.orig else None
    code = sqlstate(error) or ""
    # Data exceptions and violated constraints quote what was in the row.
    if code[:2] in ("22", "23") or not isinstance(cause, asyncpg.PostgresError):
        parts = [type(cause or error).__name__]
        parts += [f"{part} {getattr(cause, f'{part}_name', None)}" for part in ("table", "column", "constraint")
                  if getattr(cause, f"{part}_name", None)]
        return " ".join(parts)
    message: Any = getattr(cause, "message", None) or str(cause)
    return f"{str(message).partition(chr(10))[0]} ({code})"


async def _connect(address: str, deadline: Deadline, answer_seconds: float | None) -> object:
    pause = POLL_SECONDS
    while True:
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT_SECONDS, deadline.left_seconds + 1)):
                return await _direct(address, answer_seconds)
        except NOT_NOW as exc:
            if deadline.left_seconds < pause:
                raise Stop(Outcome.UNREACHABLE, f"cannot reach the database: {_why(exc)}") from exc
        except asyncpg.PostgresError as exc:
            # `password authentication failed for user "orders"`, `database "orders" does not exist`
            raise Stop(Outcome.UNREACHABLE, f"the database refuses the login: {exc}") from exc
        except (asyncpg.InterfaceError, ValueError) as exc:
            wanted = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
            raise Stop(Outcome.USAGE, f"DATABASE_URL cannot be used ({type(exc).__name__}): {wanted}") from exc
        await asyncio.sleep(pause)
        pause = min(pause * 2, 5.0)


def _why(error: BaseException) -> str:
    """What to look at first; the address itself is not shown."""
    name = type(error).__name__
    if "rejected SSL upgrade" in str(error):
        return "it offers no TLS, which DATABASE_TLS or sslmode wants"
    return next((f"{why} ({name})" for kind, why in _REASONS if isinstance(error, kind)), name)


async def _direct(address: str, answer_seconds: float | None) -> object:
    connection = await _driver.connect(dsn=address, command_timeout=answer_seconds)
    try:
        await connection.execute(_ask_for_pooler(connection.get_server_pid()))
        await connection.execute(f"SET client_connection_check_interval = '{DEAD_CLIENT_SECONDS}s'")
    except BaseException as exc:
        state: Any = getattr(exc, "sqlstate", None)
        if state == "42704":  # Postgres before 14 does not know the setting.
            return connection
        connection.terminate()
        if state == _POOLER:
            raise Stop(
                Outcome.POOLER, "DATABASE_URL leads through a connection pooler, which would lose the migration's "
                "lock; give the address of Postgres itself"
            ) from exc
        raise
    return connection


def _ask_for_pooler(process: int) -> str:
    """A statement that fails behind a pooler. Simple protocol: prepared statements may not survive one."""
    return (
        f"DO $$ BEGIN IF pg_backend_pid() <> {process} THEN "
        f"RAISE EXCEPTION 'pooler' USING ERRCODE = '{_POOLER}'; END IF; END $$"
    )
