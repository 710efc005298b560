"""What probes are told, through a FastAPI application as an app would build it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_platform_runtime import health
from fastapi_platform_runtime.drain import Drain
from fastapi_platform_runtime.health import Dependency, Health

SECRET = "postgresql://orders:hunter2@db.internal/orders"
Ask = Callable[[str], Awaitable[httpx.Response]]


async def works() -> None:
    await asyncio.sleep(0)


async def broken() -> None:
    raise ConnectionError(SECRET)


async def hangs() -> None:
    await asyncio.sleep(60)


async def stubborn() -> None:
    """A check that does not end when it is cancelled."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)


def asked(judged: Health, *paths: str, **moved: str) -> list[tuple[int, Any]]:
    """Status and body of each path, asked at the same time."""
    app = FastAPI()
    # As with a judge that the lifespan makes: found in each request.
    app.router.routes.extend(health.routes(lambda _request: judged, **moved))

    async def main() -> list[tuple[int, Any]]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
            responses = await asyncio.gather(*(client.get(path) for path in paths))
        return [(response.status_code, response.json()) for response in responses]

    return asyncio.run(main())


def test_a_process_that_works_is_live_ready_and_started():
    judged = Health((Dependency("database", works),))
    assert asked(judged, "/healthz/live", "/healthz/ready", "/healthz/startup") == [(200, {"status": "ok"})] * 3


def test_a_judge_may_be_given_at_once():
    app = FastAPI()
    app.router.routes.extend(health.routes(Health((Dependency("database", broken),))))

    async def main() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://it") as client:
            return (await client.get("/healthz/ready")).status_code

    assert asyncio.run(main()) == 503


@pytest.mark.parametrize("check", [broken, hangs, stubborn])
def test_a_broken_dependency_is_named_and_liveness_does_not_care(check: Callable[[], Awaitable[None]]):
    judged = Health((Dependency("database", check), Dependency("queue", works)), timeout_seconds=0.1)
    live, ready = asked(judged, "/healthz/live", "/healthz/ready")
    assert live == (200, {"status": "ok"})
    assert ready == (503, {"status": "unavailable", "failing": ["database"]})


def test_an_optional_dependency_is_reported_and_decides_nothing():
    judged = Health((Dependency("cache", broken, required=False), Dependency("database", works)))
    assert asked(judged, "/healthz/ready") == [(200, {"status": "ok", "degraded": ["cache"]})]


def test_neither_answer_nor_log_shows_an_address(caplog: pytest.LogCaptureFixture):
    answers = asked(Health((Dependency("database", broken),)), "/healthz/ready")
    assert "hunter2" not in f"{answers} {caplog.text}"
    assert "dependency database does not work: ConnectionError" in caplog.text


def test_checks_run_at_the_same_time():
    """Two that each wait for the other: one after the other they would never both answer."""
    first, second = asyncio.Event(), asyncio.Event()

    async def meet(mine: asyncio.Event, other: asyncio.Event) -> None:
        mine.set()
        await other.wait()

    judged = Health(
        (Dependency("a", lambda: meet(first, second)), Dependency("b", lambda: meet(second, first))),
        timeout_seconds=5,
    )
    assert asked(judged, "/healthz/ready")[0][0] == 200


@pytest.mark.parametrize(("cache_seconds", "calls"), [(60, 1), (0, 10)])
def test_an_answer_is_repeated_for_a_moment_and_no_longer(cache_seconds: float, calls: int):
    made: list[int] = []

    async def count() -> None:
        made.append(1)

    asked(Health((Dependency("database", count),), cache_seconds=cache_seconds), *["/healthz/ready"] * 10)
    assert len(made) == calls


def test_a_draining_process_is_live_and_not_ready_and_asks_nobody():
    drain = Drain()
    judged = Health((Dependency("database", broken),), drain=drain)
    drain.begin()
    assert asked(judged, "/healthz/live", "/healthz/ready", "/healthz/startup") == [
        (200, {"status": "ok"}), (503, {"status": "draining"}), (200, {"status": "ok"})
    ]


def test_a_process_that_warms_up_is_neither_started_nor_ready_until_it_says_so():
    judged = Health()
    judged.starting()
    assert asked(judged, "/healthz/startup", "/healthz/ready") == [(503, {"status": "starting"})] * 2
    judged.started()
    assert asked(judged, "/healthz/startup", "/healthz/ready") == [(200, {"status": "ok"})] * 2


def test_paths_can_be_moved_and_are_not_described():
    assert asked(Health(), "/up", live="/up")[0][0] == 200
    app = FastAPI()
    app.router.routes.extend(health.routes(Health()))
    assert app.openapi()["paths"] == {}


@pytest.mark.parametrize(
    "bad", [{"dependencies": [Dependency("a", works), Dependency("a", works)]}, {"timeout_seconds": 0},
            {"cache_seconds": -1}]
)
def test_what_cannot_be_meant_is_refused(bad: dict[str, Any]):
    with pytest.raises(ValueError, match=r"^Health"):
        Health(**bad)
