"""What readiness asks.

Owns which dependencies there are and which of them a request cannot do without. The probes themselves are the
runtime's. Deliberately leaves out other services: their trouble is no reason to take this one away.
"""

from fastapi_platform_runtime.health import Dependency, Health
from redis.asyncio import Redis
from starlette.requests import Request

from app.database import Database
from app.settings import Settings


def dependencies(database: Database, redis: Redis | None) -> tuple[Dependency, ...]:
    """Return what readiness asks; Redis is optional, because every use of it has a way without."""
    required = (Dependency("database", database.ping),)
    if redis is None:
        return required

    async def ping() -> None:
        await redis.ping()

    return (*required, Dependency("redis", ping, required=False))


def open_health(settings: Settings, database: Database, redis: Redis | None) -> Health:
    """Build the judge of one process."""
    return Health(dependencies(database, redis), timeout_seconds=settings.readiness_timeout_seconds)


def judge(request: Request) -> Health:
    """Find the judge that the lifespan made."""
    found: Health = request.state.health
    return found
