"""Feature flags on a real Redis: exactly those who were named, everywhere the same, off when in doubt."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from uuid import UUID, uuid5

import pytest
from fastapi import Depends
from redis.asyncio import Redis

from app import flags as flags_module
from app.auth.tokens import Identity, Role
from app.flags import Flags, main, place, require_flag
from app.main import create_app
from tests.support import ROOT, production_environment, serve, signed_in, valid_settings

pytestmark = pytest.mark.services

TENANTS = [uuid5(UUID(int=0), str(number)) for number in range(1000)]
NOBODY = "redis://127.0.0.1:1/0"


def identity(tenant_id: UUID, user_id: UUID | None = None) -> Identity:
    """Return somebody of a tenant."""
    return Identity(tenant_id=tenant_id, user_id=user_id or UUID(int=1), role=Role.MEMBER)


def command(redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does, in a pod."""
    environment = {**os.environ, **production_environment(), "REDIS_URL": redis_url}
    words = [sys.executable, "-m", "app.flags", *arguments]
    return subprocess.run(words, capture_output=True, check=False, cwd=ROOT, env=environment, text=True, timeout=120)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    """Give a client of an empty Redis."""
    async with Redis.from_url(redis_url) as client:
        yield client


async def on_for(redis: Redis | None, name: str = "assistant") -> set[UUID]:
    """Return the tenants that a fresh process lets in."""
    flags = Flags(redis)
    return {tenant for tenant in TENANTS if await flags.is_on(name, identity(tenant))}


@pytest.mark.control("feature-flag-cohort")
async def test_exactly_the_cohort_that_was_named_gets_the_feature(redis_url: str, redis: Redis) -> None:
    assert await on_for(redis) == set()
    members = [word for tenant in TENANTS[:3] for word in ("--tenant", str(tenant))]
    assert command(redis_url, "cohort", "beta", *members).returncode == 0
    assert command(redis_url, "set", "assistant", "--cohort", "beta", "--user", str(UUID(int=7))).returncode == 0
    assert await on_for(redis) == set(TENANTS[:3])
    assert await Flags(redis).is_on("assistant", identity(TENANTS[9], UUID(int=7)))
    assert await on_for(redis, "another") == set()
    shown = command(redis_url, "show").stdout.splitlines()
    assert [line.partition(" ")[0] for line in shown] == ["flags:assistant", "cohorts:beta"]
    assert json.loads(shown[0].partition(" ")[2])["cohorts"] == ["beta"]


@pytest.mark.control("feature-flag-cohort")
async def test_exactly_the_share_gets_the_feature_on_every_replica(redis: Redis) -> None:
    shares: list[set[UUID]] = []
    for percent in (0, 10, 50, 100):
        await redis.set("flags:assistant", json.dumps({"percent": percent}))
        shares.append(await on_for(redis))
        assert shares[-1] == await on_for(redis) == {each for each in TENANTS if place("assistant", each) < percent}
    none, some, half, everybody = shares
    assert none < some < half < everybody
    assert (none, everybody) == (set(), set(TENANTS))
    assert 70 < len(some) < 130
    assert 430 < len(half) < 570


@pytest.mark.control("feature-flag-cohort")
def test_a_tenant_stands_in_the_same_place_in_every_process_and_release() -> None:
    """A literal: whoever changes the assignment takes the feature from some who have it."""
    assert round(place("assistant", UUID(int=1)), 6) == 29.997502
    assert place("assistant", UUID(int=1)) != place("another", UUID(int=1))


@pytest.mark.control("feature-flag-cohort")
@pytest.mark.parametrize("stored", ["", "{", '{"percent": 101}', '{"percent": "100"}', '{"everybody": true}'])
async def test_a_flag_that_makes_no_sense_is_off(redis: Redis, stored: str) -> None:
    await redis.set("flags:assistant", stored)
    assert await on_for(redis) == set()


@pytest.mark.control("feature-flag-cohort")
async def test_a_source_that_cannot_be_reached_means_off(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await on_for(None) == set()
    async with Redis.from_url(NOBODY) as nobody:
        assert await on_for(nobody) == set()
        monkeypatch.setattr(flags_module, "REFRESH_SECONDS", -1)
        await redis.set("flags:assistant", '{"percent": 100}')
        flags = Flags(redis)
        assert await flags.is_on("assistant", identity(TENANTS[0]))
        monkeypatch.setattr(flags, "_redis", nobody)
        assert not await flags.is_on("assistant", identity(TENANTS[0]))


async def test_a_process_goes_by_what_it_read_for_a_while(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = Flags(redis)
    assert not await flags.is_on("assistant", identity(TENANTS[0]))
    await redis.set("flags:assistant", '{"percent": 100}')
    assert not await flags.is_on("assistant", identity(TENANTS[0]))
    now = flags_module.time.monotonic()
    monkeypatch.setattr(flags_module.time, "monotonic", lambda: now + flags_module.REFRESH_SECONDS + 1)
    assert await flags.is_on("assistant", identity(TENANTS[0]))


async def new_feature() -> None:
    """Stand for a route that is not for everybody."""


@pytest.mark.control("feature-flag-cohort")
async def test_a_route_behind_a_flag_does_not_exist_for_others(redis_url: str, redis: Redis) -> None:
    settings = valid_settings(redis_url=redis_url)
    app = create_app(settings)
    app.add_api_route("/v1/new", new_feature, dependencies=[Depends(require_flag("new"))])
    await redis.set("flags:new", json.dumps({"tenants": [str(TENANTS[0])]}))
    async with serve(app) as client:
        answers = [await client.get("/v1/new", headers=signed_in(settings, tenant_id=each)) for each in TENANTS[:2]]
        assert [answer.status_code for answer in answers] == [200, 404]
        assert (await client.get("/v1/new")).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["set", "assistant", "--percent", "101"], 2, "got 101, want a number from 0 to 100"),
        (["set", "assistant", "--percent", "nan"], 2, "got nan, want a number from 0 to 100"),
        (["set", "assistant", "--tenant", "beta"], 2, "got beta, want an id such as 00000000-"),
        (["set", "As sistant"], 2, "got As sistant, want small letters, digits and hyphens"),
        (["show"], 1, "flags: Redis cannot be reached: ConnectionError"),
    ],
)
def test_a_mistake_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    for name, value in {**production_environment(), "REDIS_URL": NOBODY}.items():
        monkeypatch.setenv(name, value)
    try:
        ended = main(arguments)
    except SystemExit as exc:
        ended = exc.code
    out, err = capsys.readouterr()
    assert (ended, out) == (status, "")
    assert said in err.splitlines()[-1]
