"""What the tests share: settings, a client and broken databases."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.settings import Settings

ROOT = Path(__file__).parent.parent
UNREACHABLE_DATABASE_URL = "postgresql://orders:hunter2@127.0.0.1:1/orders"
"""Nothing listens on port 1: connecting is refused at once."""

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def valid_settings(**overrides: object) -> Settings:
    """Return settings that can start a service whose database is away."""
    values = {"environment": "local", "database_url": UNREACHABLE_DATABASE_URL, **overrides}
    return Settings.model_validate(values)


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


def alembic(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Alembic as a deployment does."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        text=True,
        timeout=60,
    )
