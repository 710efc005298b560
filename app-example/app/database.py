"""Connections to Postgres.

Owns the engine with its pool and limits, the session of a request, and the declarative base. Deliberately
owns no transaction: services say where one begins and ends.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL, MetaData, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool

from app.settings import DatabaseSettings

CONNECT_TIMEOUT_SECONDS = 5
"""Time to open a connection, name look-up and TLS included."""
COMMAND_TIMEOUT_SECONDS = 20
"""Time for one statement of a request; below the usual 30 s of a load balancer, so that the error is ours."""


class Base(DeclarativeBase):
    """Base of all models. Constraint names follow one rule, so that a later migration can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )


@dataclass(frozen=True, slots=True)
class Database:
    """The pool of one process and the sessions that draw on it."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    async def ping(self) -> None:
        """Make Postgres answer over a connection of the pool; raises whatever stands in the way."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


def open_database(settings: DatabaseSettings) -> Database:
    """Build the pool of the service; it connects at the first query."""
    engine = _engine(
        settings,
        command_timeout_seconds=COMMAND_TIMEOUT_SECONDS,
        max_overflow=settings.database_pool_overflow,
        pool_pre_ping=True,
        pool_recycle=settings.database_pool_recycle_seconds,
        pool_size=settings.database_pool_size,
        pool_timeout=settings.database_pool_timeout_seconds,
    )
    return Database(engine, async_sessionmaker(engine, expire_on_commit=False))


def migration_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Build an engine without a pool and without a limit on statements: an index may take hours."""
    return _engine(settings, command_timeout_seconds=None, poolclass=NullPool)


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give a request its own session; what it did not commit is rolled back."""
    database: Database = request.state.database
    async with database.sessions() as session:
        yield session


# Scope "function": the connection goes back before the response is sent, however slowly the client reads.
Session = Annotated[AsyncSession, Depends(get_session, scope="function")]


def _engine(
    settings: DatabaseSettings, *, command_timeout_seconds: float | None, **options: Any
) -> AsyncEngine:
    url = make_url(settings.database_url.get_secret_value())
    return create_async_engine(
        url.set(query={}),
        connect_args={
            # asyncpg understands libpq's parameters (sslmode, sslrootcert, …) only inside a DSN; as keywords,
            # which is how SQLAlchemy passes a query on, it rejects them.
            "dsn": URL.create("postgresql", query=url.query).render_as_string(),
            "command_timeout": command_timeout_seconds,
            "timeout": CONNECT_TIMEOUT_SECONDS,
        },
        hide_parameters=True,
        **options,
    )
