"""What lives as long as the process.

Owns the order in which resources are opened and closed, and the state that every request finds. Each is opened
once, at startup, by the module that knows it. Deliberately connects to nothing: a process starts, and says so in its
readiness, while a dependency is away.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi_platform_runtime.health import Health
from redis.asyncio import Redis

from app.auth.tokens import AccessTokens
from app.database import Database, open_database
from app.error_reports import ErrorReports, open_error_reports
from app.health import dependencies, open_health
from app.metrics import Metrics, open_metrics
from app.redis import open_redis
from app.settings import Settings
from app.telemetry import Tracing, open_export

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager["State"]]


class State(TypedDict):
    """What every request finds in `request.state`."""

    access_tokens: AccessTokens
    database: Database
    error_reports: ErrorReports
    health: Health
    metrics: Metrics
    redis: Redis | None
    settings: Settings
    traces: Tracing | None


def lifespan(settings: Settings, traces: Tracing | None = None) -> Lifespan:
    """Return the lifespan of an application, whose requests may be traced."""

    @asynccontextmanager
    async def opened(_app: FastAPI) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            # Opened first, closed last: they tell about all the others.
            await stack.enter_async_context(open_export(settings, traces))
            metrics = await stack.enter_async_context(open_metrics(settings))
            error_reports = await stack.enter_async_context(open_error_reports(settings, metrics))
            database = await stack.enter_async_context(open_database(settings.database))
            redis = await stack.enter_async_context(open_redis(settings))
            asked = dependencies(database, redis)
            health = open_health(settings, asked)
            metrics.watch_pool(database.engine)
            metrics.watch_health(health, [each.name for each in asked])
            if traces:
                traces.watch_database(database.engine)
            if traces and redis:
                traces.watch_redis(redis)
            yield State(
                access_tokens=AccessTokens.of(settings),
                database=database,
                error_reports=error_reports,
                health=health,
                metrics=metrics,
                redis=redis,
                settings=settings,
                traces=traces,
            )

    return opened
