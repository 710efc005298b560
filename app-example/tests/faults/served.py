"""The service as its image starts it, with real services behind it, and questions to its probes."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from development.services import free_port
from tests.support import ROOT, THROUGH_PGBOUNCER, UNTRACKED, execute, insert_products

PATIENCE_SECONDS = 60
"""Longest that anything takes on a machine that does other things too."""
LAME_DUCK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Served:
    """A process and how to reach it."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    url: str
    output: Path

    async def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of a probe's answer."""
        response = await self.client.get(path)
        return response.status_code, response.json()

    async def readiness(self, expected: Callable[[int, dict[str, Any]], bool]) -> float:
        """Wait until readiness is as expected, with liveness at 200 throughout, and return the seconds."""
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not expected(*await self.probe("/healthz/ready")):
                assert (await self.probe("/healthz/live"))[0] == 200
                await asyncio.sleep(0.1)
        return time.monotonic() - began

    def logged(self) -> list[str]:
        """Return the messages that the process has logged."""
        return [json.loads(line)["message"] for line in self.output.read_text().splitlines()]


@asynccontextmanager
async def served(database_url: str, redis_url: str, **environment: str) -> AsyncGenerator[Served]:
    """Start the service in a shop that has a product, and wait until it is ready."""
    await execute(database_url, insert_products("MUG-1"))
    port = free_port()
    untracked = UNTRACKED if THROUGH_PGBOUNCER in database_url else {}
    variables = {
        "DATABASE_URL": database_url,
        "ENVIRONMENT": "local",
        "METRICS_PORT": "0",
        "REDIS_URL": redis_url,
        **{name.upper(): str(value) for name, value in untracked.items()},
        **environment,
    }
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fastapi_platform_runtime.serve", "app.main:create_app", "--factory"),
                *("--port", str(port), "--lame-duck", str(LAME_DUCK_SECONDS)),
                cwd=ROOT,
                env={**os.environ, **variables},
                stdout=file,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                found = Served(process, client, url, output)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not await _is_ready(found):
                        await asyncio.sleep(0.1)
                yield found
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def during(outage: AbstractContextManager[None]) -> AsyncGenerator[None]:
    """Let something stop and start in a thread, so that the clients go on."""
    await asyncio.to_thread(outage.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(outage.__exit__, None, None, None)


async def _is_ready(service: Served) -> bool:
    assert service.process.returncode is None, service.output.read_text()
    with suppress(httpx.TransportError):
        return (await service.probe("/healthz/ready"))[0] == 200
    return False
