"""The connection pool to Redis.

Owns opening, limits and closing. Redis is optional to every request: whoever uses it says what happens without
it. Deliberately holds nothing that must not be lost.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.settings import Settings

TIMEOUT_SECONDS = 0.5
"""Longest that Redis takes to connect or answer: what it saves a request is worth no more."""
CONNECTIONS = 50
"""Of one process; times processes, times pods, they must fit the server's `maxclients`."""
UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What a call raises when Redis is away, for `except`."""


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncGenerator[Redis | None]:
    """Give the client of the process, which connects at the first command; None where no address is set."""
    if settings.redis_url is None:
        yield None
        return
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        health_check_interval=15,
        max_connections=CONNECTIONS,
        # A retry would make a request wait twice for a cache that is away.
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        # Of the pool: to wait for a free connection. Who has none at once is no reason to take Redis for away.
        timeout=TIMEOUT_SECONDS,
    )
    client: Redis = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()
