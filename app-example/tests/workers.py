"""Worker processes, and a service that gives them work."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import open_database
from app.main import create_app
from app.settings import Settings
from tests.support import ROOT, THROUGH_PGBOUNCER, UNTRACKED, execute, serve, signed_in, valid_settings

PATIENCE_SECONDS = 120
"""For a machine that does other things too."""
SHORT_LEASE_SECONDS = 2
"""Lease of a worker that a test kills: the next one has to wait for its end."""


@dataclass(frozen=True)
class Office:
    """A service with orders, somebody who exports them, and what its workers need."""

    client: httpx.AsyncClient
    settings: Settings
    database_url: str
    bucket: Path
    environment: dict[str, str]
    tenant_id: UUID = field(default_factory=uuid4)

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of somebody of the tenant."""
        return signed_in(self.settings, tenant_id=self.tenant_id)

    async def store_orders(self, count: int, *, sku: str = "MUG-1", tenant_id: UUID | None = None) -> None:
        """Store orders of 1, 2, … pieces."""
        columns = "id, tenant_id, sku, quantity, created_at"
        values = f"gen_random_uuid(), '{tenant_id or self.tenant_id}', '{sku}', n, now() - n * interval '1 ms'"
        await execute(
            self.database_url,
            f"INSERT INTO orders ({columns}) SELECT {values} FROM generate_series(1, {count}) n",  # noqa: S608
        )

    async def request(self) -> str:
        """Ask for an export and return where it is."""
        answer = await self.client.post("/v1/exports", headers=self.headers)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    async def status(self, path: str) -> dict[str, Any]:
        """Return how far an export is."""
        return (await self.client.get(path, headers=self.headers)).json()

    async def final(self, path: str) -> dict[str, Any]:
        """Wait until an export is done or has failed."""

        async def is_final() -> bool:
            return (await self.status(path))["finished_at"] is not None

        await until(is_final)
        return await self.status(path)

    async def content(self, path: str) -> list[str]:
        """Return the lines of a finished export."""
        answer = await self.client.get(f"{path}/content", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.text.splitlines()

    def objects(self) -> list[Path]:
        """Return what is in the bucket."""
        return [path for path in self.bucket.rglob("*") if path.is_file() and "#" not in path.name]


async def running(desk: Office, path: str) -> None:
    """Wait until somebody works on an export."""

    async def is_running() -> bool:
        return (await desk.status(path))["status"] == "running"

    await until(is_running)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():
            await anyio.sleep(0.05)


@asynccontextmanager
async def office(database_url: str, redis_url: str | None, folder: Path, **more: object) -> AsyncGenerator[Office]:
    """Run a service."""
    bucket = folder / "bucket"
    variables: dict[str, object] = {"storage_url": f"file://{bucket}", "database_url": database_url, **more}
    if redis_url:
        variables["redis_url"] = redis_url
    settings = valid_settings(**variables)
    pooled = UNTRACKED if THROUGH_PGBOUNCER in database_url else {}
    stated = {"environment": "local", "metrics_port": 0, "tmpdir": folder, **variables, **pooled}
    environment = {name.upper(): str(value) for name, value in stated.items()}
    async with serve(create_app(settings)) as client:
        yield Office(client, settings, database_url, bucket, environment)


class Worker:
    """A worker process."""

    def __init__(self, environment: dict[str, str], log: Path, grace_seconds: float, lease_seconds: float) -> None:
        """Start it."""
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fast_worker", str(grace_seconds), str(lease_seconds)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=subprocess.STDOUT,
                stdout=out,
            )

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def messages(self) -> list[str]:
        """Return what it has said."""
        return [line["message"] for line in self.lines()]

    def outcomes(self) -> list[str]:
        """Return how its jobs ended."""
        return [line["outcome"] for line in self.lines() if line["message"] == "job"]

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """End it as the platform does once it works, and return its exit status."""
        self.wait_for("worker started")
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def wait_for(self, message: str) -> None:
        """Wait until it says something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while message not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@contextmanager
def worker(
    office: Office, log: Path, *, grace_seconds: float = PATIENCE_SECONDS, lease_seconds: float = PATIENCE_SECONDS
) -> Generator[Worker]:
    """Run a worker of a service until the end at the latest."""
    running = Worker(office.environment, log, grace_seconds, lease_seconds)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.kill()


@asynccontextmanager
async def locked(database_url: str, table: str, mode: str) -> AsyncGenerator[AsyncConnection]:
    """Make whoever needs a table wait: a job stops where the test wants it to."""
    async with (
        open_database(valid_settings(database_url=database_url).database) as database,
        database.engine.begin() as connection,
    ):
        await connection.execute(text(f"LOCK TABLE {table} IN {mode} MODE"))
        yield connection
