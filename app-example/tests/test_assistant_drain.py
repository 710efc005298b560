"""Streams in a process that is told to stop: short ones end by themselves, long ones are told to end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from app.assistant.event_stream import DRAIN_SECONDS
from development.model import StubModel
from development.services import free_port
from tests.live import PATH, QUESTION, all_events, base_url, listening_app, until
from tests.support import ROOT, UNREACHABLE_DATABASE_URL, signed_in, valid_settings

LAME_DUCK_SECONDS = 2
LONGEST_SECONDS = 40
"""Lame duck, drain, and much of a noisy machine."""


@asynccontextmanager
async def served(model_url: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """Start the service as its image does, and give the process and a client that is signed in."""
    port = free_port()
    environment = {"DATABASE_URL": UNREACHABLE_DATABASE_URL, "ENVIRONMENT": "local", "METRICS_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fastapi_platform_runtime.serve", "app.main:create_app", "--factory"),
        *("--port", str(port), "--lame-duck", str(LAME_DUCK_SECONDS)),
        cwd=ROOT,
        env={**os.environ, **environment, "MODEL_URL": f"{model_url}/v1"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    headers = signed_in(valid_settings())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            async with asyncio.timeout(LONGEST_SECONDS):
                while await status(client, "/healthz/live") != 200:
                    await asyncio.sleep(0.05)
            yield process, client
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def status(client: httpx.AsyncClient, path: str) -> int | None:
    """Return the status of an answer; None where there is none."""
    with suppress(httpx.TransportError):
        return (await client.get(path)).status_code
    return None


async def ended(client: httpx.AsyncClient) -> tuple[str, object]:
    """Ask the assistant, and return how its stream ended."""
    headers = signed_in(valid_settings())
    async with client.stream("POST", PATH, json=QUESTION, headers=headers) as response:
        assert response.status_code == 200
        name, data = (await all_events(response))[-1]
        return name, data.get("detail")


@pytest.mark.control("graceful-drain", "streaming-response")
@pytest.mark.processes
async def test_every_accepted_stream_ends_properly_when_the_process_is_told_to_stop() -> None:
    long, short = ("x",) * 10_000, ("x",) * 10
    stub = StubModel(pieces=long, pause_seconds=0.1)
    async with listening_app(stub.app()) as model, served(base_url(model)) as (process, client):
        told = asyncio.create_task(ended(client))
        await until(lambda: stub.running == 1)
        stub.pieces = short
        finishes = asyncio.create_task(ended(client))
        await until(lambda: stub.calls == 2)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LONGEST_SECONDS):
            while "draining" not in (await client.get("/healthz/ready")).text:
                await asyncio.sleep(0.01)
            accepted_late = asyncio.create_task(ended(client))
            assert await finishes == ("done", None)
            assert await accepted_late == ("done", None)
            began = asyncio.get_running_loop().time()
            assert await told == ("error", "The service restarts; try again.")
            assert asyncio.get_running_loop().time() - began < 2 * DRAIN_SECONDS
            assert await process.wait() == 0
    assert (stub.completed, stub.cancelled) == (2, 1)
