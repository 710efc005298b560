"""Postgres, or the pooler before it, ends while clients ask, and comes back."""

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
from sqlalchemy import make_url

from development import services
from tests.faults.load import Load, figures, load, statuses, wrong
from tests.faults.served import PATIENCE_SECONDS, Served, during, served
from tests.live import until
from tests.support import THROUGH_PGBOUNCER

pytestmark = [
    pytest.mark.services,
    pytest.mark.control(
        "consistent-error-schema",
        "liveness-readiness-split",
        "no-stack-trace-leak",
        "pool-pre-ping-and-recycle",
        "readiness-checks-dependencies",
    ),
]

RECOVERY_SECONDS = 10
"""Longest until the service is ready again; a busy machine of two processors needs 2."""
SLOWEST_SECONDS = 28
"""No answer takes longer: a statement's 20 seconds, a connection's 5, and a little."""
REQUESTS = 120
"""In each part of a test."""


async def test_a_postgres_that_restarts_is_an_outage_and_no_more(
    database_url: str, postgres: services.Postgres, redis_url: str
) -> None:
    async with served(database_url, redis_url) as service, load(service.url) as clients:
        await _survives(service, clients, postgres.stopped())


async def test_a_pgbouncer_that_restarts_is_an_outage_and_no_more(
    direct_database_url: str, postgres: services.Postgres, redis_url: str
) -> None:
    port = services.free_port()
    url = f"{postgres.url(str(make_url(direct_database_url).database), port=port)}?{THROUGH_PGBOUNCER}"
    with ExitStack() as running:
        running.enter_context(services.pgbouncer(postgres, port))

        @contextmanager
        def stopped() -> Generator[None]:
            running.close()
            yield
            running.enter_context(services.pgbouncer(postgres, port))

        async with served(url, redis_url) as service, load(service.url) as clients:
            await _survives(service, clients, stopped())


async def _survives(service: Served, clients: Load, outage: AbstractContextManager[None]) -> None:
    await until(lambda: len(clients.answers) > REQUESTS, seconds=PATIENCE_SECONDS)
    before = time.monotonic()
    assert statuses(clients.answers) <= {200, 201}
    async with during(outage):
        noticed = await service.readiness(lambda status, said: (status, said.get("failing")) == (503, ["database"]))
        await until(lambda: 503 in statuses(clients.since(before)), seconds=PATIENCE_SECONDS)
    ready = await service.readiness(lambda status, _: status == 200)
    back = time.monotonic()
    await until(lambda: len(clients.since(back)) > REQUESTS, seconds=PATIENCE_SECONDS)
    meanwhile = [answer for answer in clients.since(before) if answer.began < back]
    print(f"\nnot ready {noticed:.2f} s after the stop, ready {ready:.2f} s after the start;")
    print(f"meanwhile {figures(meanwhile)}; then {figures(clients.since(back))}")
    assert list(wrong(clients.answers)) == []
    assert ready < RECOVERY_SECONDS
    assert max(answer.seconds for answer in clients.answers) < SLOWEST_SECONDS
    assert statuses(clients.since(back)) <= {200, 201}
    assert "unhandled error" not in service.logged()
    assert service.process.returncode is None
