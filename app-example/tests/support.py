"""What the tests share: settings, a client and broken databases."""

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from fastapi_platform_runtime.engine import EngineSettings
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from app.auth.tokens import AccessTokens, Identity, Role
from app.database import open_database
from app.settings import Settings

ROOT = Path(__file__).parent.parent
UNREACHABLE_DATABASE_URL = "postgresql://orders:hunter2@127.0.0.1:1/orders"
"""Nothing listens on port 1: connecting is refused at once."""

THROUGH_PGBOUNCER = "application_name=through-pgbouncer"
"""Part of an address that leads through PgBouncer: `valid_settings` then says what a deployment says of its pooler."""
UNTRACKED: dict[str, object] = {"database_pooler_prepared_statements": 0, "database_statement_cache_size": 0}
"""Debian's PgBouncer is older than 1.21: it tracks no prepared statements, which end with the server's connection."""

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def valid_settings(**overrides: object) -> Settings:
    """Return settings that can start a service on a developer's machine whose database is away.

    `database_…` are the runtime's variables, in small letters.
    """
    values = {
        "environment": "local",
        "metrics_port": 0,
        "database_url": UNREACHABLE_DATABASE_URL,
        **overrides,
    }
    if THROUGH_PGBOUNCER in str(values["database_url"]):
        values = {**UNTRACKED, **values}
    of_database = {name.upper(): str(values[name]) for name in values if name.startswith("database_")}
    rest = {name: value for name, value in values.items() if not name.startswith("database_")}
    return Settings.model_validate({**rest, "database": EngineSettings.from_environment(of_database)})


def production_settings(**overrides: object) -> Settings:
    """Return settings of a production in which nothing is reached."""
    return valid_settings(**{**PRODUCTION, **overrides})


PRODUCTION: dict[str, object] = {
    "allowed_hosts": "orders.test",
    "cors_origins": "https://shop.test",
    "environment": "production",
    "model_api_key": "model-key-hunter2",
    "model_url": "https://model.test/v1",
    "redis_url": "redis://:hunter2@127.0.0.1:1/0",
    "reset_messages_api_key": "messages-key-hunter2",
    "reset_messages_url": "https://messages.test/resets",
    "signing_keys": f"2026-11:{base64.urlsafe_b64encode(hashlib.sha256(b'tests').digest()).decode()}",
    "storage_url": "s3://orders-test",
}
"""What a production must state, as its variables in small letters."""


def signed_in(
    settings: Settings,
    *,
    role: Role = Role.MEMBER,
    tenant_id: UUID | None = None,
    user_id: UUID | None = None,
) -> dict[str, str]:
    """Return the headers of somebody who is signed in: a stranger of a tenant of their own, unless told."""
    identity = Identity(user_id=user_id or uuid4(), tenant_id=tenant_id or uuid4(), role=role)
    return {"Authorization": f"Bearer {AccessTokens.of(settings).issue(identity)}"}


@asynccontextmanager
async def serve(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Run an application with its lifespan and give a client of it."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
            yield client


@asynccontextmanager
async def listening(converse: Conversation) -> AsyncGenerator[int]:
    """Listen on a free loopback port, converse with whoever connects, and give the port."""
    ended: list[asyncio.Future[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.get_running_loop().create_future()
        ended.append(end)
        try:
            await converse(reader, writer)
        finally:
            writer.close()
            end.set_result(None)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(asyncio.gather(*ended), timeout=5)


async def execute(database_url: str, *statements: str) -> list[Any]:
    """Run statements beside the service, and return the first column of the last one's rows."""
    rows: list[Any] = []
    async with open_database(valid_settings(database_url=database_url).database) as database:
        for statement in statements:
            async with database.engine.begin() as connection:
                result = await connection.execute(text(statement))
                rows = list(result.scalars()) if result.returns_rows else []
    return rows


@asynccontextmanager
async def held_lock(database_url: str, key: int = 1) -> AsyncGenerator[None]:
    """Hold an advisory lock of Postgres, for which a trigger or a statement of a test then waits."""
    async with (
        open_database(valid_settings(database_url=database_url).database) as database,
        database.engine.begin() as connection,
    ):
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({key})"))
        yield


def insert_products(*skus: str) -> str:
    """Write a statement that stores products, each named after its SKU."""
    rows = ", ".join(f"(gen_random_uuid(), '{sku}', 'Name of {sku}', 1200)" for sku in skus)
    return f"INSERT INTO products (id, sku, name, price_cents) VALUES {rows}"  # noqa: S608


def alembic(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Alembic's command, as a developer does."""
    return _run("alembic", *arguments, database_url=database_url)


def migrate(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Migrate, as a deployment does."""
    return _run("fastapi_platform_runtime.migrate", *arguments, database_url=database_url)


def _run(module: str, *arguments: str, database_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        text=True,
        timeout=60,
    )


def production_environment() -> dict[str, str]:
    """Return the environment of a production in which nothing is reached."""
    stated = {name.upper(): str(value) for name, value in PRODUCTION.items()}
    return {"DATABASE_URL": UNREACHABLE_DATABASE_URL, **stated}
