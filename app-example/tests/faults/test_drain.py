"""The process is told to stop while clients ask on connections that they keep, and a stream runs."""

import asyncio
import signal
import time

import httpx
import pytest
from redis import Redis

from app.assistant.endpoints import FLAG
from app.flags import Flag
from development.model import StubModel
from tests.faults.load import CLIENTS, figures, load, statuses
from tests.faults.served import PATIENCE_SECONDS, served
from tests.live import PATH, QUESTION, all_events, base_url, listening_app, until

pytestmark = pytest.mark.services

REQUESTS = 120
"""Before the signal."""


@pytest.mark.control("graceful-drain", "streaming-response")
async def test_every_accepted_request_is_answered_when_the_process_is_told_to_stop(
    database_url: str, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.set(f"flags:{FLAG}", Flag(percent=100).model_dump_json())
    stub = StubModel(pieces=("x",) * 30, pause_seconds=0.1)
    async with (
        listening_app(stub.app()) as model,
        served(database_url, redis_url, MODEL_URL=f"{base_url(model)}/v1") as service,
        load(service.url) as clients,
    ):
        await until(lambda: len(clients.answers) > REQUESTS, seconds=PATIENCE_SECONDS)
        stream = asyncio.create_task(_last_event(service.url, clients.headers))
        await until(lambda: stub.running == 1, seconds=PATIENCE_SECONDS)
        told = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        await service.readiness(lambda status, said: (status, said["status"]) == (503, "draining"))
        drained = time.monotonic()
        await until(lambda: len(clients.since(drained)) > 2 * CLIENTS, seconds=PATIENCE_SECONDS)
        # As a load balancer does, which is given the lame duck for it.
        clients.stopping = True
        assert await stream == "done"
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await service.process.wait() == 0
        ended = time.monotonic() - told
    print(f"\nended {ended:.2f} s after the signal; since then {figures(clients.since(told))}")
    assert statuses(clients.answers) == {200, 201}


async def _last_event(url: str, headers: dict[str, str]) -> str:
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
        client.stream("POST", PATH, json=QUESTION) as response,
    ):
        assert response.status_code == 200
        return (await all_events(response))[-1][0]
