"""Redis ends while clients ask, and comes back."""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from development import services
from tests.auth.support import new_email, sign_in
from tests.faults.load import figures, load, statuses
from tests.faults.served import PATIENCE_SECONDS, during, served
from tests.live import until

pytestmark = pytest.mark.services

ATTEMPTS = [401, 401, 429]
"""Without Redis an account is allowed a quarter of ten."""
REQUESTS = 120
"""In each part of the test."""


@pytest.mark.control("fail-safe-defaults", "liveness-readiness-split", "rate-limit-sensitive-routes", "read-cache")
async def test_nobody_gets_an_error_while_redis_is_away(database_url: str) -> None:
    port = services.free_port()
    with ExitStack() as running:
        redis_url = running.enter_context(services.redis(port))

        @contextmanager
        def stopped() -> Generator[None]:
            running.close()
            yield
            running.enter_context(services.redis(port))

        async with served(database_url, redis_url) as service, load(service.url) as clients:
            await until(lambda: len(clients.answers) > REQUESTS, seconds=PATIENCE_SECONDS)
            before = time.monotonic()
            async with during(stopped()):
                noticed = await service.readiness(
                    lambda status, said: (status, said.get("degraded")) == (200, ["redis"])
                )
                await until(lambda: len(clients.since(before)) > REQUESTS, seconds=PATIENCE_SECONDS)
                assert await _attempts(service.client) == ATTEMPTS
            back = time.monotonic()
            well = await service.readiness(lambda status, said: (status, "degraded" in said) == (200, False))
            await until(lambda: len(clients.since(back)) > REQUESTS, seconds=PATIENCE_SECONDS)
    print(
        f"\ndegraded {noticed:.2f} s after the stop, well {well:.2f} s after the start;"
        f" {figures(clients.since(before))}"
    )
    assert statuses(clients.answers) == {200, 201}


async def _attempts(client: httpx.AsyncClient) -> list[int]:
    email = new_email()
    return [(await sign_in(client, email)).status_code for _ in ATTEMPTS]
