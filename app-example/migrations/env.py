"""Lets Alembic's own commands see the database and the models: `revision --autogenerate`, `check`, `--sql`.

Deployments migrate with `python -m fastapi_platform_runtime.migrate`, which does not run this file: it owns the
lock, the limits and the compatibility of releases. This one deliberately has none: it is for a developer's
database.
"""

import asyncio
import os

from alembic import context
from alembic.util import CommandError
from fastapi_platform_runtime.backfill import BackfillError
from fastapi_platform_runtime.engine import EngineSettings, EngineSettingsError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.database import open_database
from app.models import METADATA


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a name in the database is compared with the models: the runner keeps a table of its own."""
    return kind != "table" or name != "fastapi_platform_schema"


def migrate(connection: Connection) -> None:
    """Run what the command asks for, each migration in a transaction of its own."""
    context.configure(connection, include_name=is_ours, target_metadata=METADATA, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_online() -> None:
    """Connect and migrate.

    Raises:
        CommandError: Settings are wrong, Postgres cannot be reached, or it takes the runner; Alembic prints one line.
    """
    try:
        async with (
            open_database(EngineSettings.from_environment(os.environ)) as database,
            database.engine.connect() as connection,
        ):
            await connection.run_sync(migrate)
    except BackfillError as exc:
        raise CommandError(
            "a backfill is applied by the runner alone: python -m fastapi_platform_runtime.migrate"
        ) from exc
    except (EngineSettingsError, OSError, SQLAlchemyError) as exc:
        raise CommandError(f"{type(exc).__name__}: {exc}") from exc


def print_sql() -> None:
    """Print the statements instead (`--sql`), for review; no database needed."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        target_metadata=METADATA,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    print_sql()
else:
    asyncio.run(migrate_online())
