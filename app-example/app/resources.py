"""What lives as long as the process.

Owns the order in which resources are opened and closed, and the state that every request finds. Each is opened
once, at startup, by the module that knows it. Deliberately connects to nothing: a process starts, and says so in its
readiness, while a dependency is away.
"""

from asyncio import TaskGroup
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi_platform_runtime.health import Health
from redis.asyncio import Redis

from app.assistant.service import AssistantService, open_assistant
from app.attachments.upload import UploadSlots
from app.auth.passwords import Passwords, open_passwords
from app.auth.reset_messages import NoResetMessages, ResetMessages
from app.auth.resets import open_tasks
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
    reset_messages: ResetMessages
    reset_tasks: TaskGroup
    settings: Settings
    storage: Storage
    traces: Tracing | None
    upload_slots: UploadSlots


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
            outbound = await stack.enter_async_context(open_outbound(settings, traces))
            redis = await stack.enter_async_context(open_redis(settings))
            storage = await stack.enter_async_context(open_storage(settings))
            broker = await stack.enter_async_context(open_broker(settings))
            if redis is None:
                # A developer's machine: there is no worker that could be reached.
                parts = Parts(
                    broker=broker,
                    database=database,
                    error_reports=error_reports,
                    metrics=metrics,
                    outbound=outbound,
                    redis=None,
                    storage=storage,
                )
                await stack.enter_async_context(open_work(settings, parts))
            yield State(
                access_tokens=AccessTokens.of(settings),
                assistant=_counted(open_assistant(settings, outbound), metrics),
                cache=Cache(redis),
                database=database,
                error_reports=error_reports,
                flags=Flags(redis),
                health=_watched(settings, database, redis, metrics, traces),
                jobs=JobQueue(broker),
                metrics=metrics,
                outbound=outbound,
                passwords=await stack.enter_async_context(open_passwords()),
                rate_limits=open_rate_limits(settings, redis),
                redis=redis,
                reset_messages=NoResetMessages(),
                reset_tasks=await stack.enter_async_context(open_tasks()),
                settings=settings,
                storage=storage,
                traces=traces,
                upload_slots=UploadSlots(),
            )

    return opened


def _counted(assistant: AssistantService, metrics: Metrics) -> AssistantService:
    metrics.gauge("model_calls_in_progress", "Calls of the model that run", lambda: assistant.turns.in_use)
    metrics.gauge("model_callers_waiting", "Callers that wait for their turn", lambda: assistant.turns.waiting)
    return assistant


def _watched(
    settings: Settings, database: Database, redis: Redis | None, metrics: Metrics, traces: Tracing | None
) -> Health:
    asked = dependencies(database, redis)
    health = open_health(settings, asked)
    metrics.watch_pool(database.engine)
    metrics.watch_health(health, [each.name for each in asked])
    if traces:
        traces.watch_database(database.engine)
    if traces and redis:
        traces.watch_redis(redis)
    return health
