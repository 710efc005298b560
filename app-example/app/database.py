"""Connections to Postgres.

Owns the engine, the session of a request, and the declarative base. Deliberately owns neither limits, which
are the runtime's settings, nor transactions: services say where one begins and ends.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi_platform_runtime.engine import EngineSettings
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app import database_errors


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


@asynccontextmanager
async def open_database(settings: EngineSettings) -> AsyncGenerator[Database]:
    """Give the pool of the process, which connects at the first query, and close it in the end."""
    arguments = settings.arguments()
    arguments["connect_args"]["async_creator_fn"] = database_errors.connect
    engine = create_async_engine(**arguments)
    database_errors.watch(engine)
    try:
        yield Database(engine, async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give a request its own session; what it did not commit is rolled back."""
    database: Database = request.state.database
    async with database.sessions() as session:
        yield session


# Scope "function": the connection goes back before the response is sent, however slowly the client reads.
Session = Annotated[AsyncSession, Depends(get_session, scope="function")]
