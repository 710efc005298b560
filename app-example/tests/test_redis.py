"""The pool to Redis: many at once are no outage."""

import asyncio

import anyio
import pytest
from limits import parse

from app.rate_limits import RateLimits, Rule
from app.redis import CONNECTIONS, UNAVAILABLE, open_redis
from tests.support import valid_settings

pytestmark = [pytest.mark.services, pytest.mark.control("rate-limit-sensitive-routes")]


async def test_more_callers_than_connections_are_counted_together(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst is when the counts of all processes matter most."""
    monkeypatch.setattr("app.redis.TIMEOUT_SECONDS", 30)
    callers = 8 * CONNECTIONS
    rule = Rule("burst", parse(f"{callers} per hour"))
    async with open_redis(valid_settings(redis_url=redis_url)) as redis:
        assert redis
        limits = RateLimits(redis, b"secret")
        await asyncio.gather(*(limits.count(rule, "somebody") for _ in range(callers)))
        clients = (await redis.info("clients"))["connected_clients"]
    assert caplog.messages == []
    assert clients <= CONNECTIONS + 1


async def test_nobody_waits_long_for_a_connection(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis.CONNECTIONS", 1)
    async with open_redis(valid_settings(redis_url=redis_url)) as redis:
        assert redis
        taken = await redis.connection_pool.get_connection()
        with anyio.fail_after(10), pytest.raises(UNAVAILABLE):
            await redis.ping()
        await redis.connection_pool.release(taken)
        assert await redis.ping()
