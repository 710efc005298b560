"""Answers that are kept in Redis for a while.

Owns keys, life, invalidation and what happens while Redis is away: the caller then reads the database, and nobody gets
an error. Deliberately decides nothing about what may be kept: services name their entries and say when one is stale.

An entry is two keys. The *token* changes with every write; the *value* names the token under which it was read, and
counts only while the two agree. So a reader that was overtaken by a write stores a value that nobody uses, and a write
by the previous release, whose values look different, makes those of this one stale too. What invalidation can miss, a
process that ends between its commit and the new token, lasts no longer than the entry's life.
"""

import asyncio
import functools
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast
from uuid import UUID, uuid4

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis

from app.redis import UNAVAILABLE

PAUSE_SECONDS = 5.0
"""How long Redis is left alone after it failed: a Redis that is away then costs one request its timeout, not all."""
TOKEN_SECONDS = 86_400
"""Life of a token; one that is gone makes its value stale, never fresh."""
MAX_OWED = 10_000
"""Writes remembered while Redis is away; beyond that, entries live out their time."""
_JITTER = 0.1
"""Share by which lives differ, so that what was filled together does not end together."""

_logger = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
Loaded = TypeVar("Loaded")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Key(Generic[Model]):
    """One entry: what it is called, what is in it, how long it lives."""

    name: str
    model: type[Model]
    life_seconds: float

    @property
    def value_name(self) -> str:
        """Name of the value; it changes with the shape of the model, so that releases do not read each other's."""
        return f"{self.name}:{_shape(self.model)}"


@dataclass(frozen=True, slots=True)
class Entry(Generic[Model]):
    """A kind of entry, declared once beside the service that fills it."""

    name: str
    model: type[Model]
    life_seconds: float

    def of_tenant(self, tenant_id: UUID) -> Key[Model]:
        """Return the entry of one tenant, which no other ever sees."""
        return Key(f"cache:tenant:{tenant_id}:{self.name}", self.model, self.life_seconds)

    def of_shop(self, part: str = "all") -> Key[Model]:
        """Return an entry that everybody sees."""
        return Key(f"cache:shop:{self.name}:{part}", self.model, self.life_seconds)


class Cache:
    """The cache of one process; never raises for Redis' sake."""

    def __init__(self, redis: Redis | None) -> None:
        """Keep entries in a Redis, or nowhere."""
        self._redis = redis
        self._flights: dict[str, asyncio.Future[Any]] = {}
        self._owed: dict[str, str] = {}
        self._left_alone_until = 0.0

    async def get_or_load(self, key: Key[Model], load: Callable[[], Awaitable[Loaded]]) -> Model | Loaded:
        """Return the entry, or what `load` returns; of the callers in this process at the same time, one loads.

        None is returned and not kept: whoever guesses names would fill the cache with nothing.
        """
        while (flight := self._flights.get(key.name)) is not None:
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flight.cancelled() or (task is not None and task.cancelling()):
                    raise
                # Whoever loaded was cancelled, so somebody else does.
        flight = self._flights[key.name] = asyncio.get_running_loop().create_future()
        try:
            loaded = await self._find_or_load(key, load)
        except Exception as exc:
            flight.set_exception(exc)
            # Nobody else may have waited: then the exception counts as seen all the same.
            flight.exception()
            raise
        else:
            flight.set_result(loaded)
            return loaded
        finally:
            flight.cancel()
            if self._flights.get(key.name) is flight:
                del self._flights[key.name]

    async def forget(self, *keys: Key[Any]) -> None:
        """Make entries stale; to be called when the write that changes them is committed."""
        for key in keys:
            # Whoever asks from now on must not be given what was read before the write.
            self._flights.pop(key.name, None)
            if len(self._owed) < MAX_OWED:
                self._owed[key.name] = uuid4().hex
        await self._settle()

    async def _find_or_load(self, key: Key[Model], load: Callable[[], Awaitable[Loaded]]) -> Model | Loaded:
        token, found = await self._find(key)
        if found is not None:
            return found
        loaded = await load()
        if token is not None and isinstance(loaded, key.model):
            life_milliseconds = round(key.life_seconds * 1000 * random.uniform(1 - _JITTER, 1 + _JITTER))
            value = f"{token} {loaded.model_dump_json()}"
            await self._ask(lambda redis: redis.set(key.value_name, value, px=life_milliseconds))
        return loaded

    async def _find(self, key: Key[Model]) -> tuple[str | None, Model | None]:
        """Return the token under which a value may be kept, and the value that is kept now; None for what is not."""
        await self._settle()
        if self._owed:
            return None, None
        both = await self._ask(lambda redis: redis.mget(key.name, key.value_name))
        if both is None:
            return None, None
        token, value = cast("tuple[bytes | None, bytes | None]", both)
        if token is None:
            fresh = uuid4().hex
            # Before loading: a write that happens meanwhile then changes it.
            kept = await self._ask(lambda redis: redis.set(key.name, fresh, nx=True, ex=TOKEN_SECONDS))
            return (fresh if kept else None), None
        return token.decode(), _read(key, token, value)

    async def _settle(self) -> None:
        """Tell Redis about writes that it does not know of yet."""
        owed = dict(self._owed)
        if not owed:
            return

        async def tell(redis: Redis) -> bool:
            async with redis.pipeline(transaction=False) as commands:
                for name, token in owed.items():
                    commands.set(name, token, ex=TOKEN_SECONDS)
                await commands.execute()
            return True

        if self._redis is None or await self._ask(tell):
            for name, token in owed.items():
                if self._owed.get(name) == token:
                    del self._owed[name]

    async def _ask(self, ask: Callable[[Redis], Awaitable[Answer]]) -> Answer | None:
        if self._redis is None or time.monotonic() < self._left_alone_until:
            return None
        try:
            return await ask(self._redis)
        except UNAVAILABLE as exc:
            self._left_alone_until = time.monotonic() + PAUSE_SECONDS
            # The type alone: a message may carry the address with its password.
            _logger.warning("the cache is away: %s", type(exc).__name__)
            return None


def _read(key: Key[Model], token: bytes, value: bytes | None) -> Model | None:
    if value is None:
        return None
    kept_under, _, content = value.partition(b" ")
    if kept_under != token:
        return None
    try:
        return key.model.model_validate_json(content)
    except ValidationError:
        return None


@functools.cache
def _shape(model: type[BaseModel]) -> str:
    return hashlib.sha256(repr(model.model_json_schema()).encode()).hexdigest()[:12]


async def get_cache(request: Request) -> Cache:
    """Find the cache that the lifespan made."""
    found: Cache = request.state.cache
    return found


CurrentCache = Annotated[Cache, Depends(get_cache)]
