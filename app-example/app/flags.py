"""Feature flags: who gets what is not for everybody yet.

Owns what a flag is, who it is on for, and the command that sets one. A flag that is not set, cannot be read or makes
no sense is off. Deliberately changes nothing by itself: raising the share is somebody's decision, after a look at the
service.

    python -m app.flags cohort beta --tenant 0c9d… --user 51aa…
    python -m app.flags set assistant --cohort beta --percent 10
    python -m app.flags show
"""

import argparse
import asyncio
import hashlib
import logging
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, TypeVar, cast
from uuid import UUID

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis

from app.auth.identity import CurrentIdentity
from app.auth.tokens import Identity
from app.redis import UNAVAILABLE, open_redis
from app.settings import Settings, SettingsError

REFRESH_SECONDS = 5.0
"""How long a process goes by what it last read: a change is everywhere after so long, and a Redis that is away is
asked no more often."""
MAX_MEMBERS = 10_000
"""Most tenants or users that a flag or cohort names; more than that is a share."""
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_USAGE, _UNAVAILABLE = 2, 1

_logger = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
Ids = Annotated[frozenset[UUID], Field(max_length=MAX_MEMBERS)]


class Cohort(BaseModel):
    """A group with a name, which several flags can be on for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    tenants: Ids = frozenset()
    users: Ids = frozenset()


class Flag(BaseModel):
    """Who something is on for: each part adds to the others, and nothing is for nobody."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    cohorts: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """Names of cohorts; one that does not exist has no members."""
    percent: Annotated[float, Field(ge=0, le=100)] = 0
    """Share of all tenants; who is in a share is in every larger one, too."""
    tenants: Ids = frozenset()
    users: Ids = frozenset()


@dataclass(frozen=True, slots=True)
class _Known:
    """A flag with its cohorts, as last read."""

    flag: Flag | None
    cohorts: tuple[Cohort, ...]
    until: float

    def includes(self, name: str, identity: Identity) -> bool:
        if self.flag is None:
            return False
        groups = (self.flag, *self.cohorts)
        return (
            any(identity.tenant_id in group.tenants or identity.user_id in group.users for group in groups)
            or place(name, identity.tenant_id) < self.flag.percent
        )


def place(name: str, tenant_id: UUID) -> float:
    """Return where a tenant stands between 0 and 100: the same in every process, another one for each flag."""
    digest = hashlib.sha256(f"{name}:{tenant_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48 * 100


class Flags:
    """Reads flags; never raises for Redis' sake."""

    def __init__(self, redis: Redis | None) -> None:
        """Read from a Redis; without one everything is off."""
        self._redis = redis
        self._known: dict[str, _Known] = {}

    async def is_on(self, name: str, identity: Identity) -> bool:
        """Tell whether something is on for whoever calls.

        Args:
            name: A name from the code, not from a request: each is remembered.
            identity: Who calls.
        """
        known = self._known.get(name)
        if known is None or known.until < time.monotonic():
            known = self._known[name] = await self._read(name)
        return known.includes(name, identity)

    async def _read(self, name: str) -> _Known:
        flag: Flag | None = None
        cohorts: tuple[Cohort, ...] = ()
        try:
            if self._redis is not None:
                flag, cohorts = await _load(self._redis, name)
        except (*UNAVAILABLE, ValidationError) as exc:
            # The type alone: a message may carry the address with its password.
            _logger.warning("flag %s is off, because it cannot be read: %s", name, type(exc).__name__)
        return _Known(flag, cohorts, time.monotonic() + REFRESH_SECONDS)


async def _load(redis: Redis, name: str) -> tuple[Flag | None, tuple[Cohort, ...]]:
    stored = await redis.get(f"flags:{name}")
    if stored is None:
        return None, ()
    flag = Flag.model_validate_json(stored)
    if not flag.cohorts:
        return flag, ()
    groups = cast("list[bytes | None]", await redis.mget([f"cohorts:{cohort}" for cohort in flag.cohorts]))
    return flag, tuple(Cohort.model_validate_json(group) for group in groups if group is not None)


async def get_flags(request: Request) -> Flags:
    """Find the flags that the lifespan made."""
    found: Flags = request.state.flags
    return found


CurrentFlags = Annotated[Flags, Depends(get_flags)]


def require_flag(name: str) -> Callable[..., Awaitable[None]]:
    """Return a dependency that answers 404 to whom the flag is off for, as if there were nothing."""

    async def required(identity: CurrentIdentity, flags: CurrentFlags) -> None:
        if not await flags.is_on(name, identity):
            raise HTTPException(HTTPStatus.NOT_FOUND)

    return required


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 1 Redis cannot be reached, 2 the arguments or settings are wrong."""
    options = _parser().parse_args(argv)
    try:
        settings = Settings.from_environment()
        if settings.redis_url is None:
            raise SettingsError("REDIS_URL missing: flags are kept in Redis")
        asyncio.run(_run(options, settings))
    except SettingsError as exc:
        print(f"flags: {exc}", file=sys.stderr)
        return _USAGE
    except UNAVAILABLE as exc:
        print(f"flags: Redis cannot be reached: {type(exc).__name__}", file=sys.stderr)
        return _UNAVAILABLE
    return 0


async def _run(options: argparse.Namespace, settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        redis = cast("Redis", await stack.enter_async_context(open_redis(settings)))
        if options.command == "show":
            await _show(redis)
            return
        members = {"tenants": frozenset(options.tenant), "users": frozenset(options.user)}
        if options.command == "cohort":
            await redis.set(f"cohorts:{options.name}", Cohort(**members).model_dump_json())
        else:
            flag = Flag(percent=options.percent, cohorts=tuple(options.cohort), **members)
            await redis.set(f"flags:{options.name}", flag.model_dump_json())
    print(f"{options.name} is set; every process follows within {REFRESH_SECONDS:g} s")


async def _show(redis: Redis) -> None:
    for kind in ("flags", "cohorts"):
        keys = cast("AsyncIterator[bytes]", redis.scan_iter(match=f"{kind}:*"))
        for key in sorted([key async for key in keys]):
            stored = cast("bytes | None", await redis.get(key))
            print(key.decode(), "gone" if stored is None else stored.decode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.flags", description="Show and set feature flags.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print all flags and cohorts")
    flag = commands.add_parser("set", help="state who a flag is on for; replaces what was stated before")
    flag.add_argument("--percent", type=_percent, default=0.0, help="share of all tenants, 0 to 100 (0)")
    flag.add_argument("--cohort", type=_name, action="append", default=[], help="a cohort; may be repeated")
    cohort = commands.add_parser("cohort", help="state who is in a cohort; replaces what was stated before")
    for each in (flag, cohort):
        each.add_argument("name", type=_name)
        each.add_argument("--tenant", type=_id, action="append", default=[], help="id; may be repeated")
        each.add_argument("--user", type=_id, action="append", default=[], help="id; may be repeated")
    return parser


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"got {text}, want a number from 0 to 100")
    return percent


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text}, want small letters, digits and hyphens, at most 63")
    return text


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text}, want an id such as {UUID(int=0)}") from None


if __name__ == "__main__":
    raise SystemExit(main())
