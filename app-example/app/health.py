"""What readiness asks.

Owns which dependencies there are and which of them a request cannot do without. The probes themselves are the
runtime's. Deliberately leaves out other services: their trouble is no reason to take this one away.
"""

import asyncio
import tempfile

from fastapi_platform_runtime.health import Dependency, Health
from redis.asyncio import Redis
from starlette.requests import Request

from app.database import Database
from app.settings import Settings

SCRATCH_BYTES = 4096
"""What the check of the scratch disk writes: a block, which an empty file would not need."""


def dependencies(database: Database, redis: Redis | None) -> tuple[Dependency, ...]:
    """Return what readiness asks.

    Redis is optional, because every use of it has a way without. So is the scratch disk: only large uploads need it.
    """
    scratch = Dependency("scratch", _write_scratch, required=False)
    always = (Dependency("database", database.ping), scratch)
    if redis is None:
        return always

    async def ping() -> None:
        await redis.ping()

    return (*always, Dependency("redis", ping, required=False))


def open_health(settings: Settings, asked: tuple[Dependency, ...]) -> Health:
    """Build the judge of one process."""
    return Health(asked, timeout_seconds=settings.readiness_timeout_seconds)


def judge(request: Request) -> Health:
    """Find the judge that the lifespan made."""
    found: Health = request.state.health
    return found


async def _write_scratch() -> None:
    await asyncio.to_thread(_write_and_remove)


def _write_and_remove() -> None:
    with tempfile.TemporaryFile(dir=tempfile.gettempdir()) as file:
        file.write(bytes(SCRATCH_BYTES))
        file.flush()
