"""The cache on a real Redis and Postgres: what it saves, what it must never show, what happens without it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from app import cache as cache_module
from app.auth.tokens import Role
from app.cache import Cache, Entry
from app.main import create_app
from development import services
from tests.observed import observe
from tests.support import execute, insert_products, listening, serve, signed_in, valid_settings
from tests.test_orders import place

pytestmark = pytest.mark.services


class Answer(BaseModel):
    """Something to keep."""

    text: str


ANSWER = Entry("answer", Answer, life_seconds=60)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    """Give a client of an empty Redis."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def admin(database_url: str) -> dict[str, str]:
    """Give the headers of an administrator."""
    return signed_in(valid_settings(database_url=database_url), role=Role.ADMIN)


@pytest.mark.control("read-cache")
@pytest.mark.parametrize("path", ["/v1/orders/summary", "/v1/products", "/v1/products?limit=3", "/v1/products/MUG-1"])
async def test_a_repeated_read_runs_no_statement(member: httpx.AsyncClient, path: str) -> None:
    first = await member.get(path)
    with observe() as seen:
        second = await member.get(path)
    assert (second.status_code, second.json()) == (200, first.json())
    assert (seen.statements, seen.most_checked_out) == ([], 0)


@pytest.mark.control("read-cache")
async def test_a_write_is_seen_by_the_next_read(member: httpx.AsyncClient, admin: dict[str, str]) -> None:
    paths = ("/v1/products", "/v1/products/MUG-1")
    assert all([(await member.get(path)).is_success for path in paths])
    assert (await member.get("/v1/orders/summary")).json()["placed"] == {"orders": 0, "pieces": 0}
    order = await place(member, 3)
    assert (await member.get("/v1/orders/summary")).json()["placed"] == {"orders": 1, "pieces": 3}
    await member.post(f"/v1/orders/{order['id']}/cancellation")
    assert (await member.get("/v1/orders/summary")).json()["cancelled"] == {"orders": 1, "pieces": 3}
    await member.put("/v1/products/MUG-1", json={"name": "Cup", "price_cents": 900}, headers=admin)
    page, product = [(await member.get(path)).json() for path in paths]
    assert product["name"] == page["items"][0]["name"] == "Cup"


@pytest.mark.control("read-cache")
async def test_tenants_never_share_an_entry(member: httpx.AsyncClient, admin: dict[str, str]) -> None:
    await place(member, 3)
    assert (await member.get("/v1/orders/summary")).json()["placed"]["pieces"] == 3
    for _ in range(2):
        assert (await member.get("/v1/orders/summary", headers=admin)).json()["placed"]["pieces"] == 0
    assert (await member.get("/v1/orders/summary")).json()["placed"]["pieces"] == 3


@pytest.mark.control("read-cache")
async def test_a_redis_that_stops_costs_nobody_an_answer(database_url: str) -> None:
    await execute(database_url, insert_products("MUG-1"))
    async with AsyncExitStack() as stack:
        running = services.redis()
        settings = valid_settings(database_url=database_url, redis_url=running.__enter__())
        try:
            client = await stack.enter_async_context(serve(create_app(settings)))
            client.headers.update(signed_in(settings))
            assert (await client.get("/v1/orders/summary")).status_code == 200
        finally:
            running.__exit__(None, None, None)
        await place(client, 2)
        assert (await client.get("/v1/orders/summary")).json()["placed"]["pieces"] == 2
        assert (await client.get("/v1/products/MUG-1")).status_code == 200


@pytest.mark.control("read-cache")
async def test_a_redis_that_hangs_is_left_alone_after_the_first_try(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    monkeypatch.setattr(cache_module, "PAUSE_SECONDS", 3600)
    async with (
        listening(hang) as port,
        Redis.from_url(f"redis://127.0.0.1:{port}", retry=Retry(NoBackoff(), 0), socket_timeout=0.1) as client,
    ):
        cache = Cache(client)
        for number in range(50):
            assert await cache.get_or_load(ANSWER.of_shop(str(number)), loader("fresh")) == Answer(text="fresh")
        await cache.forget(ANSWER.of_shop())
        assert connections == 1
        monkeypatch.setattr(cache, "_left_alone_until", time.monotonic())
        await cache.get_or_load(ANSWER.of_shop(), loader("fresh"))
        assert connections == 2


async def test_of_many_readers_one_loads(redis: Redis) -> None:
    cache, loads = Cache(redis), 0

    async def load() -> Answer:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.05)
        return Answer(text="loaded")

    key = ANSWER.of_tenant(uuid4())
    answers = await asyncio.gather(*(cache.get_or_load(key, load) for _ in range(50)))
    assert (loads, {answer.text for answer in answers}) == (1, {"loaded"})


async def test_a_reader_who_leaves_takes_nobody_along(redis: Redis) -> None:
    cache, started = Cache(redis), asyncio.Event()

    async def never() -> Answer:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    first = asyncio.create_task(cache.get_or_load(ANSWER.of_shop(), never))
    await started.wait()
    others = [asyncio.create_task(cache.get_or_load(ANSWER.of_shop(), loader("second"))) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert {answer.text for answer in await asyncio.gather(*others)} == {"second"}
    assert first.cancelled()


async def test_an_error_reaches_everybody_who_waited_and_nobody_later(redis: Redis) -> None:
    cache = Cache(redis)

    async def fail() -> Answer:
        await asyncio.sleep(0.05)
        raise LookupError

    waiting = [cache.get_or_load(ANSWER.of_shop(), fail) for _ in range(3)]
    assert [type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)] == [LookupError] * 3
    assert (await cache.get_or_load(ANSWER.of_shop(), loader("later"))).text == "later"


@pytest.mark.control("read-cache")
async def test_a_reader_overtaken_by_a_write_leaves_nothing_behind(redis: Redis) -> None:
    """It read before the write, and stores after it."""
    key, reading, written = ANSWER.of_shop(), asyncio.Event(), asyncio.Event()

    async def read_old() -> Answer:
        reading.set()
        await written.wait()
        return Answer(text="old")

    cache, elsewhere = Cache(redis), Cache(redis)
    slow = asyncio.create_task(cache.get_or_load(key, read_old))
    await reading.wait()
    await elsewhere.forget(key)
    written.set()
    assert (await slow).text == "old"
    assert (await cache.get_or_load(key, loader("new"))).text == "new"
    assert (await elsewhere.get_or_load(key, loader("newer"))).text == "new"


async def test_whoever_asks_after_a_write_does_not_join_who_asked_before(redis: Redis) -> None:
    cache, reading, written = Cache(redis), asyncio.Event(), asyncio.Event()

    async def read_old() -> Answer:
        reading.set()
        await written.wait()
        return Answer(text="old")

    slow = asyncio.create_task(cache.get_or_load(ANSWER.of_shop(), read_old))
    await reading.wait()
    await cache.forget(ANSWER.of_shop())
    new = await asyncio.wait_for(cache.get_or_load(ANSWER.of_shop(), loader("new")), 10)
    assert new.text == "new"
    written.set()
    await slow


async def test_a_write_that_redis_missed_is_made_up_for(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(redis)
    await cache.get_or_load(ANSWER.of_shop(), loader("old"))
    monkeypatch.setattr(cache_module, "PAUSE_SECONDS", 0)
    with failing(redis):
        await cache.forget(ANSWER.of_shop())
        assert (await cache.get_or_load(ANSWER.of_shop(), loader("new"))).text == "new"
    assert (await cache.get_or_load(ANSWER.of_shop(), loader("newest"))).text == "newest"
    assert (await Cache(redis).get_or_load(ANSWER.of_shop(), loader("none"))).text == "newest"


async def test_a_release_with_another_shape_reads_nothing_of_this_one(redis: Redis) -> None:
    class Changed(BaseModel):
        text: str
        more: str = ""

    await Cache(redis).get_or_load(ANSWER.of_shop(), loader("old"))
    changed = Entry("answer", Changed, life_seconds=60).of_shop()

    async def load() -> Changed:
        return Changed(text="new")

    assert (await Cache(redis).get_or_load(changed, load)).text == "new"
    await Cache(redis).forget(changed)
    assert (await Cache(redis).get_or_load(ANSWER.of_shop(), loader("reread"))).text == "reread"


async def test_lives_differ_and_what_is_missing_is_not_kept(redis: Redis) -> None:
    cache = Cache(redis)
    for number in range(20):
        await cache.get_or_load(ANSWER.of_shop(str(number)), loader("kept"))
    lives = {await redis.pttl(ANSWER.of_shop(str(number)).value_name) for number in range(20)}
    assert len(lives) > 10
    assert all(50_000 < life <= 66_000 for life in lives)

    async def nothing() -> None: ...

    assert await cache.get_or_load(ANSWER.of_shop("missing"), nothing) is None
    assert await redis.exists(ANSWER.of_shop("missing").value_name) == 0


def loader(text: str) -> Callable[[], Awaitable[Answer]]:
    """Return what loads an answer."""

    async def load() -> Answer:
        return Answer(text=text)

    return load


@contextmanager
def failing(redis: Redis) -> Generator[None]:
    """Make every command fail."""

    async def fail(*_: object, **__: object) -> None:
        raise RedisConnectionError("away")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute_command", "get", "mget", "set"):
            patch.setattr(redis, name, fail)
        patch.setattr(redis.connection_pool, "get_connection", fail)
        yield
