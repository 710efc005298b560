"""How often somebody may call.

Owns counting, shared by all processes through Redis, and the answer 429. A window moves with the clock: no burst
fits at the edge of two. Each process counts by itself while Redis is away, and then allows less, so that several
processes together do not allow more. What is counted is a hash: neither addresses nor names are kept. The client's
address is the connection's, as the server states it in the ASGI scope; no header is read here. Deliberately owns no
limit of its own: each domain says what its routes stand.
Source: https://limits.readthedocs.io/en/stable/strategies.html
"""

import hmac
import logging
import math
import time
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis
from starlette.datastructures import Address

from app.redis import UNAVAILABLE
from app.settings import Settings

ALONE_SHARE = 4
"""While Redis is away a process allows a quarter, at least one: four processes then allow as much as usual."""
REDIS_RETRY_SECONDS = 5.0
"""How long Redis is left alone after a failure, so that not every request waits for it."""
IPV6_PREFIX_BITS = 64
"""Somebody who has one address of IPv6 has all of such a network."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """How often the same caller may do one thing."""

    name: str
    """What is counted; rules of the same name share a count."""
    allowance: RateLimitItem
    """How often, as `limits.parse` reads it: `10 per 15 minutes`."""


class LimitExceededError(Exception):
    """Somebody has called too often."""

    def __init__(self, retry_after_seconds: int) -> None:
        """Say when it is worth coming back."""
        super().__init__(f"come back in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class RateLimits:
    """Counts of one process, or of all that share a Redis."""

    def __init__(self, redis: Redis | None, secret: bytes) -> None:
        """Count in Redis where there is one; `secret` keeps the hashes from being guessed."""
        self._secret = secret
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._shared = None if redis is None else MovingWindowRateLimiter(_storage(redis))
        self._redis_away_until: float | None = None

    async def count(self, rule: Rule, caller: str) -> None:
        """Count a call.

        Raises:
            LimitExceededError: It is one too many.
        """
        who = hmac.digest(self._secret, f"rate limits: {caller}".encode(), "sha256").hex()
        if self._shared is None:
            await _count(self._alone, rule.allowance, rule.name, who)
            return
        if self._redis_away_until is None or time.monotonic() >= self._redis_away_until:
            try:
                await _count(self._shared, rule.allowance, rule.name, who)
            except UNAVAILABLE as exc:
                self._redis_left(exc)
            else:
                self._redis_came_back()
                return
        await _count(self._alone, _stricter(rule.allowance), rule.name, who)

    def _redis_left(self, exc: Exception) -> None:
        if self._redis_away_until is None:
            fields = {"error": type(exc).__name__}
            _logger.warning("rate limits are counted by each process: Redis is away", extra={"fields": fields})
        self._redis_away_until = time.monotonic() + REDIS_RETRY_SECONDS

    def _redis_came_back(self) -> None:
        if self._redis_away_until is not None:
            _logger.info("rate limits are counted together again")
        self._redis_away_until = None


async def _count(limiter: MovingWindowRateLimiter, allowance: RateLimitItem, *names: str) -> None:
    if not await limiter.hit(allowance, *names):
        free_at = (await limiter.get_window_stats(allowance, *names)).reset_time
        raise LimitExceededError(max(1, math.ceil(free_at - time.time())))


def _stricter(allowance: RateLimitItem) -> RateLimitItem:
    return type(allowance)(max(1, allowance.amount // ALONE_SHARE), allowance.multiples)


def _storage(redis: Redis) -> Storage:
    # The application's pool with its time limits; the address only chooses the kind.
    pool: Any = redis.connection_pool
    return RedisStorage("async+redis://", implementation="redispy", key_prefix="rate-limits", connection_pool=pool)


def open_rate_limits(settings: Settings, redis: Redis | None) -> RateLimits:
    """Build the counts of one process."""
    _, key = settings.token_keys.current
    return RateLimits(redis, key)


def client_of(address: Address | None) -> str:
    """Return whom a connection is counted for: an address, and of IPv6 the network."""
    try:
        found = ip_address(address.host if address else "")
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, IPV6_PREFIX_BITS), strict=False))
    return str(found)


async def get_rate_limits(request: Request) -> RateLimits:
    """Find the counts that the lifespan opened."""
    found: RateLimits = request.state.rate_limits
    return found


CurrentRateLimits = Annotated[RateLimits, Depends(get_rate_limits)]


def limited(rule: Rule) -> Any:
    """Return a dependency of routes that counts each call by the client's address, and answers 429."""

    async def count(request: Request, limits: CurrentRateLimits) -> None:
        try:
            await limits.count(rule, client_of(request.client))
        except LimitExceededError as exc:
            raise too_many_requests(exc) from None

    return Depends(count)


def too_many_requests(exc: LimitExceededError) -> HTTPException:
    """Return the answer to somebody who has called too often."""
    return HTTPException(
        HTTPStatus.TOO_MANY_REQUESTS,
        detail="Too many attempts. Come back later.",
        headers={"Retry-After": str(exc.retry_after_seconds)},
    )
