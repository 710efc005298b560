"""Runs migrations.

Owns the connection of a migration and its locks: one run at a time, and no statement that waits long for a
table while every request waits behind it. Needs a direct connection: a transaction-mode pooler loses the lock
and the settings of a session. Deliberately writes no file and sets no limit on how long a statement may run.
"""

import asyncio
import logging
import sys
import time
from contextlib import aclosing

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import Base, migration_engine
from app.orders import models as orders
from app.settings import DatabaseSettings, SettingsError

RUN_LOCK_KEY = 4_202_611_210
"""Advisory lock, in this database only, that a run holds until its connection closes."""
RUN_LOCK_RETRY_SECONDS = 0.2
RUN_LOCK_TIMEOUT_SECONDS = 60
"""How long a run waits for another one to end."""
STATEMENT_LOCK_TIMEOUT_SECONDS = 5
"""How long a statement waits for a table: requests queue behind it meanwhile. On failure, run again."""

MODELS = (orders,)
"""Imported so that their tables are in the metadata that `alembic revision --autogenerate` compares."""


def migrate(connection: Connection) -> None:
    """Run what the command asks for, each migration in a transaction of its own."""
    context.configure(connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_online() -> None:
    """Connect, take the lock, migrate."""
    async with aclosing(await connect()) as connection:
        await take_run_lock(connection)
        await connection.run_sync(migrate)


async def connect() -> AsyncConnection:
    """Open the connection of this run.

    Raises:
        CommandError: The settings are wrong or Postgres cannot be reached; Alembic prints one line.
    """
    try:
        return await migration_engine(DatabaseSettings.from_environment()).connect()
    except (OSError, SQLAlchemyError, SettingsError) as exc:
        raise CommandError(f"{type(exc).__name__}: {exc}") from exc


async def take_run_lock(connection: AsyncConnection) -> None:
    """Wait until no other run is under way; the second of two then finds nothing left to do.

    Raises:
        CommandError: The other run did not end in time.
    """
    deadline = time.monotonic() + RUN_LOCK_TIMEOUT_SECONDS
    # Asked again and again: a session that waits inside Postgres holds a snapshot, and an index that the
    # other run builds concurrently would wait for that snapshot for ever.
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": RUN_LOCK_KEY}):
        await connection.rollback()
        if time.monotonic() > deadline:
            raise CommandError(f"another migration is still running after {RUN_LOCK_TIMEOUT_SECONDS} s")
        await asyncio.sleep(RUN_LOCK_RETRY_SECONDS)
    await connection.execute(text(f"SET lock_timeout = '{STATEMENT_LOCK_TIMEOUT_SECONDS}s'"))
    # Alembic leaves a transaction that it finds open to others, and would commit nothing.
    await connection.commit()


def print_sql() -> None:
    """Print the statements instead (`--sql`), for review; no database needed."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    print_sql()
else:
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    asyncio.run(migrate_online())
