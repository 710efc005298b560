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

from app.assistant.service import AssistantService, open_assistant
from app.attachments.upload import UploadSlots
from app.auth.passwords import Passwords, open_passwords
from app.auth.tokens import AccessTokens
from app.cache import Cache
from app.database import Database, open_database
from app.error_reports import ErrorReports, open_error_reports
from app.flags import Flags
from app.health import dependencies, open_health
from app.metrics import Metrics, open_metrics
from app.outbound import Outbound, open_outbound
from app.queue import JobQueue, open_broker
from app.rate_limits import RateLimits, open_rate_limits
from app.redis import open_redis
from app.settings import Settings
from app.storage import Storage, open_storage
from app.telemetry import Tracing, open_export
from app.work import Parts, open_work

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager["State"]]


class State(TypedDict):
    """What every request finds in `request.state`."""

    access_tokens: AccessTokens
    assistant: AssistantService
    cache: Cache
    database: Database
    error_reports: ErrorReports
    flags: Flags
    health: Health
    jobs: JobQueue
    metrics: Metrics
    outbound: Outbound
    passwords: Passwords
    rate_limits: RateLimits
    redis: Redis | None
    settings: Settings
    storage: Storage
    traces: Tracing | None
    upload_slots: UploadSlots


def lifespan(settings: Settings, traces: Tracing | None = None) -> Lifespan:
    """Return the lifespan of an application, whose requests may be traced."""

    @asynccontextmanager
    async def opened(_app: FastAPI) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            parts = await _opened(stack, settings, traces)
            if parts.redis is None:
                # A developer's machine: there is no worker that could be reached.
                await stack.enter_async_context(open_work(settings, parts))
            yield _state(settings, parts, await stack.enter_async_context(open_passwords()))

    return opened


async def _opened(stack: AsyncExitStack, settings: Settings, traces: Tracing | None) -> Parts:
    # Opened first, closed last: they tell about all the others.
    await stack.enter_async_context(open_export(settings, traces))
    metrics = await stack.enter_async_context(open_metrics(settings))
    error_reports = await stack.enter_async_context(open_error_reports(settings, metrics))
    return Parts(
        broker=await stack.enter_async_context(open_broker(settings)),
        database=await stack.enter_async_context(open_database(settings.database)),
        error_reports=error_reports,
        metrics=metrics,
        outbound=await stack.enter_async_context(open_outbound(settings, traces)),
        redis=await stack.enter_async_context(open_redis(settings)),
        storage=await stack.enter_async_context(open_storage(settings)),
        traces=traces,
    )


def _state(settings: Settings, parts: Parts, passwords: Passwords) -> State:
    return State(
        access_tokens=AccessTokens.of(settings),
        assistant=_counted(open_assistant(settings, parts.outbound), parts.metrics),
        cache=Cache(parts.redis),
        database=parts.database,
        error_reports=parts.error_reports,
        flags=Flags(parts.redis),
        health=_watched(settings, parts),
        jobs=JobQueue(parts.broker),
        metrics=parts.metrics,
        outbound=parts.outbound,
        passwords=passwords,
        rate_limits=open_rate_limits(settings, parts.redis),
        redis=parts.redis,
        settings=settings,
        storage=parts.storage,
        traces=parts.traces,
        upload_slots=UploadSlots(),
    )


def _counted(assistant: AssistantService, metrics: Metrics) -> AssistantService:
    metrics.gauge("model_calls_in_progress", "Calls of the model that run", lambda: assistant.turns.in_use)
    metrics.gauge("model_callers_waiting", "Callers that wait for their turn", lambda: assistant.turns.waiting)
    return assistant


def _watched(settings: Settings, parts: Parts) -> Health:
    asked = dependencies(parts.database, parts.redis)
    health = open_health(settings, asked)
    parts.metrics.watch_pool(parts.database.engine)
    parts.metrics.watch_health(health, [each.name for each in asked])
    if parts.traces:
        parts.traces.watch(parts.database.engine, parts.redis)
    return health
