"""How often somebody may call: over all processes, without Redis, and whoever they say they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from limits import parse
from redis.asyncio import Redis
from starlette.datastructures import Address

from app import rate_limits
from app.main import create_app
from app.rate_limits import LimitExceededError, RateLimits, Rule, client_of, limited, open_rate_limits
from app.redis import open_redis
from development import services
from tests.support import listening, serve, valid_settings

FOUR = Rule("test", parse("4 per hour"))
UNREACHABLE_REDIS_URL = "redis://127.0.0.1:1/0"


@asynccontextmanager
async def counting(redis_url: str | None) -> AsyncGenerator[RateLimits]:
    """Give the counts of a process of its own."""
    settings = valid_settings(redis_url=redis_url)
    async with open_redis(settings) as redis:
        yield open_rate_limits(settings, redis)


async def allowed(limits: RateLimits, caller: str = "somebody", rule: Rule = FOUR) -> int:
    """Call until it is too often, and return how often it was not."""
    for count in range(100):
        try:
            await limits.count(rule, caller)
        except LimitExceededError:
            return count
    raise AssertionError("there is no limit")


async def test_without_redis_a_process_counts_by_itself() -> None:
    async with counting(None) as limits:
        assert await allowed(limits) == 4
        assert await allowed(limits) == 0
        assert await allowed(limits, "somebody else") == 4
        assert await allowed(limits, rule=Rule("another", parse("4 per hour"))) == 4


@pytest.mark.control("rate-limit-sensitive-routes")
@pytest.mark.services
async def test_processes_share_a_count(redis_url: str) -> None:
    async with counting(redis_url) as one, counting(redis_url) as other:
        for limits in (one, other, one, other):
            await limits.count(FOUR, "somebody")
        assert [await allowed(one), await allowed(other)] == [0, 0]
        assert await allowed(other, "somebody else") == 4


@pytest.mark.services
async def test_a_window_opens_again_when_its_first_call_is_old_enough(redis_url: str) -> None:
    rule = Rule("quick", parse("2 per 2 seconds"))
    async with counting(redis_url) as limits:
        assert await allowed(limits, rule=rule) >= 2
        async with asyncio.timeout(20):
            while not await allowed(limits, rule=rule):
                await asyncio.sleep(0.05)


@pytest.mark.services
async def test_redis_is_told_neither_addresses_nor_names(redis_url: str) -> None:
    async with counting(redis_url) as limits, Redis.from_url(redis_url, decode_responses=True) as redis:
        await limits.count(FOUR, "somebody@example.com")
        await limits.count(FOUR, "192.0.2.1")
        kept = list(map(str, await redis.keys("*")))
        assert len(kept) == 2
        assert not [key for key in kept if "somebody" in key or "192.0.2.1" in key]
        assert all([0 < await redis.ttl(key) <= 3600 for key in kept])


@pytest.mark.control("rate-limit-sensitive-routes")
async def test_while_redis_is_away_a_process_allows_less_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async with counting(UNREACHABLE_REDIS_URL) as limits:
        assert await allowed(limits) == 1
        assert await allowed(limits, "somebody else") == 1
        assert await allowed(limits, rule=Rule("few", parse("2 per hour"))) == 1
    assert [record.levelname for record in caplog.records if record.name == "app.rate_limits"] == ["WARNING"]


async def test_a_redis_that_hangs_is_asked_once_and_then_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "REDIS_RETRY_SECONDS", 600)
    connections = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    async with listening(hang) as port:
        async with counting(f"redis://127.0.0.1:{port}/0") as limits:
            assert await allowed(limits) == 1
    assert connections == 1


@pytest.mark.services
async def test_a_redis_that_comes_back_is_used_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limits, "REDIS_RETRY_SECONDS", 0)
    caplog.set_level(logging.INFO)
    port = services.free_port()
    async with counting(f"redis://127.0.0.1:{port}/0") as limits:
        assert await allowed(limits) == 1
        with services.redis(port):
            assert await allowed(limits) == 4
            assert await allowed(limits, "somebody else") == 4
    said = [record.levelname for record in caplog.records if record.name == "app.rate_limits"]
    assert said == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
    ],
)
def test_a_client_is_its_address_and_of_ipv6_its_network(host: str, client: str) -> None:
    assert client_of(Address(host, 1)) == client


def test_a_connection_without_an_address_is_counted_all_the_same() -> None:
    assert client_of(None) == "unknown"


@pytest.mark.control("consistent-error-schema", "rate-limit-sensitive-routes")
async def test_one_call_too_many_is_a_problem_that_says_when_to_come_back() -> None:
    app = create_app(valid_settings())

    @app.get("/v1/limited", dependencies=[limited(FOUR)])
    async def once() -> None:  # pyright: ignore[reportUnusedFunction]
        pass

    async with serve(app) as client:
        answers = [await client.get("/v1/limited", headers=forged()) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 3000 <= int(refused.headers["Retry-After"]) <= 3600
    assert refused.json()["detail"] == "Too many attempts. Come back later."
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]


def forged() -> dict[str, str]:
    """Return headers with which a client pretends to be another."""
    address = f"198.51.100.{uuid4().int % 250}"
    names = ("CF-Connecting-IP", "Client-IP", "True-Client-IP", "X-Client-IP", "X-Forwarded-For", "X-Real-IP")
    return {**dict.fromkeys(names, address), "Forwarded": f"for={address}"}
