"""What lives as long as the process.

Owns the order in which resources are opened and closed, and the state that every request finds. Each is opened
once, at startup, by the module that knows it. Deliberately connects to nothing: a process starts, and says so in its
readiness, while a dependency is away.
"""

from asyncio import Semaphore, TaskGroup
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi_platform_runtime.health import Health
from redis.asyncio import Redis

from app.assistant.service import AssistantService, open_assistant
from app.attachments.upload import UPLOADS_AT_ONCE
from app.auth.passwords import Passwords, open_passwords
from app.auth.reset_messages import NoResetMessages, ResetMessages
from app.auth.resets import open_tasks
from app.auth.tokens import AccessTokens
from app.cache import Cache
from app.database import Database, open_database
from app.flags import Flags
from app.health import open_health
from app.outbound import Outbound, open_outbound
from app.queue import JobQueue, open_broker
from app.rate_limits import RateLimits, open_rate_limits
from app.redis import open_redis
from app.settings import Settings
from app.storage import Storage, open_storage
from app.work import Parts, open_work

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager["State"]]


class State(TypedDict):
    """What every request finds in `request.state`."""

    access_tokens: AccessTokens
    assistant: AssistantService
    cache: Cache
    database: Database
    flags: Flags
    health: Health
    outbound: Outbound
    jobs: JobQueue
    passwords: Passwords
    rate_limits: RateLimits
    redis: Redis | None
    reset_messages: ResetMessages
    reset_tasks: TaskGroup
    settings: Settings
    storage: Storage
    upload_slots: Semaphore


def lifespan(settings: Settings) -> Lifespan:
    """Return the lifespan of an application."""

    @asynccontextmanager
    async def opened(_app: FastAPI) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(settings.database))
            outbound = await stack.enter_async_context(open_outbound(settings))
            redis = await stack.enter_async_context(open_redis(settings))
            storage = await stack.enter_async_context(open_storage(settings))
            broker = await stack.enter_async_context(open_broker(settings))
            if redis is None:
                # A developer's machine: there is no worker that could be reached.
                parts = Parts(broker=broker, database=database, outbound=outbound, redis=None, storage=storage)
                await stack.enter_async_context(open_work(settings, parts))
            yield State(
                access_tokens=AccessTokens.of(settings),
                assistant=open_assistant(settings, outbound),
                cache=Cache(redis),
                database=database,
                flags=Flags(redis),
                health=open_health(settings, database, redis),
                outbound=outbound,
                jobs=JobQueue(broker),
                passwords=await stack.enter_async_context(open_passwords()),
                rate_limits=open_rate_limits(settings, redis),
                redis=redis,
                reset_messages=NoResetMessages(),
                reset_tasks=await stack.enter_async_context(open_tasks()),
                settings=settings,
                storage=storage,
                upload_slots=Semaphore(UPLOADS_AT_ONCE),
            )

    return opened
