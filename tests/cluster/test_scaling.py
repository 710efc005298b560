"""However many pods there are, no more sessions in the database than was reckoned with."""

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import pytest

from tests.cluster.client import Client, until
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence

Seen = TypeVar("Seen")
MAXIMUM = 4
"""Of the `local` stack."""
BUSY = 60
"""Requests a second."""
SURGE = 1
"""Of four pods 25 percent."""
POOL = 5 + 5
"""Connections of a process: those that stay open, and those beyond under load."""
WORKERS = 1
SESSIONS = (
    "SELECT count(*), count(DISTINCT client_addr) FROM pg_stat_activity "
    "WHERE usename = 'orders' AND client_addr IS NOT NULL"
)
"""Of the service's role, and from how many pods; a test's own have no address."""
MIGRATION_SESSIONS = 1


@pytest.fixture(autouse=True)
def quick_rollouts(stack: Stack) -> Iterator[None]:
    stack.reset()
    stack.set("service", rollout={"min_ready_seconds": 1})
    yield
    stack.reset()


def test_the_database_has_no_more_sessions_than_the_pods_may_open(
    stack: Stack, client: Client, token: str, evidence: Evidence
):
    """At the most pods there may be: while all of them are replaced, and while each wants all that it may have."""
    stack.pods = MAXIMUM
    stack.deploy()
    until(lambda: ready(client) == MAXIMUM == len(client.pods()), "the maximum")
    with evidence.of("sessions in the database") as figures:
        with watched(lambda: sessions(client)) as rolling, client.load(token, rate=BUSY, keep_alive=True) as load:
            stack.set("service", env={"LOG_LEVEL": "WARNING"})
            stack.deploy()
        with watched(lambda: sessions(client)) as full, everything_waits(client, token):
            until(lambda: any(count >= MAXIMUM * POOL * WORKERS for count, _ in full), "pools that are full")
        until(lambda: ready(client) == MAXIMUM, "pods that are ready again")
        most, pods = max(rolling)
        figures += [f"{most} of {pods} pods in a rollout at the maximum", f"{max(full)[0]} while every order waits"]
        figures.append(str(load))
        assert load.failures == []
        assert most <= (MAXIMUM + SURGE) * POOL * WORKERS + MIGRATION_SESSIONS
        assert max(full)[0] <= MAXIMUM * POOL * WORKERS


def ready(client: Client) -> int:
    return client.kubectl.get("deployment", "orders")["status"].get("readyReplicas", 0)


def sessions(client: Client) -> tuple[int, int]:
    """Return how many the service's role has in the database, and how many pods have them."""
    count, pods = client.psql(SESSIONS).split("|")
    return int(count), int(pods)


@contextmanager
def watched(look: Callable[[], Seen]) -> Generator[list[Seen]]:
    """Look at something every second."""
    seen, done = [look()], threading.Event()

    def work() -> None:
        while not done.wait(1):
            seen.append(look())

    with ThreadPoolExecutor(1) as other:
        looking = other.submit(work)
        try:
            yield seen
        finally:
            done.set()
            looking.result()


@contextmanager
def everything_waits(client: Client, token: str) -> Generator[None]:
    """Let more orders than all pools have connections wait for their table."""
    with ExitStack() as asked, client.holding("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
        for _ in range(MAXIMUM):
            asked.enter_context(client.load(token, rate=BUSY / MAXIMUM, keep_alive=False))
        yield
