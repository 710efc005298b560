"""The queue between requests and workers.

Owns how work is announced and how workers hear of it: a Redis stream, or this process where a developer has no Redis.
A message is the name of a job and the id of what it is about, no more; it is acknowledged after the work, and one
whose worker died is read by another. Deliberately not the place where work is kept: what has to happen is in
Postgres, a message may be lost or come twice, and a job must stand both (`app.exports.leases`).

taskiq looks for the messages of dead workers only after it has received another one, so that a quiet queue keeps
them waiting: the sweep of `app.chores` announces such work again.
Source: https://github.com/taskiq-python/taskiq-redis/blob/main/taskiq_redis/redis_broker.py
"""

import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import BackgroundTasks, Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from taskiq import AsyncBroker, InMemoryBroker
from taskiq.exceptions import TaskiqError
from taskiq.kicker import AsyncKicker
from taskiq_redis import RedisStreamBroker

from app.ids import request_id
from app.redis import TIMEOUT_SECONDS, UNAVAILABLE
from app.settings import Settings

STREAM = "jobs"
GROUP = "workers"
MAX_MESSAGES = 10_000
"""Length of the stream, in which Redis keeps what was acknowledged too; work whose message falls off is swept."""
BLOCK_MS = 2000
"""How long a worker waits for a message before it asks again."""
IDLE_MS = 60_000
"""After this time an unacknowledged message is read by another worker: by then the lease of a dead one has ended
(`app.pace`), and one that lives has renewed its own."""
CLAIM_LOCK_SECONDS = 10
"""taskiq-redis locks the search for such messages, and would for ever were the worker killed meanwhile."""
LISTEN_TIMEOUT_SECONDS = BLOCK_MS / 1000 + 3
SEND_CONNECTIONS = 8
FORGET_CONSUMER_SECONDS = 3600
"""Silence after which a consumer without messages is dropped from the group."""

_logger = logging.getLogger(__name__)


class JobQueue:
    """Announces work."""

    def __init__(self, broker: AsyncBroker) -> None:
        """Take the way to the workers."""
        self._broker = broker

    async def put(self, job: str, subject: UUID, request_id: str | None = None) -> bool:
        """Tell the workers that there is something to do; False when nobody could be told, which loses nothing.

        Args:
            job: Its name.
            subject: What it is about.
            request_id: Which request wanted it, for the log lines of the job.
        """
        kicker: AsyncKicker[Any, Any] = AsyncKicker(job, self._broker, {})
        try:
            await kicker.kiq(str(subject), request_id)
        except (*UNAVAILABLE, TaskiqError) as exc:
            cause = type(exc.__cause__ or exc).__name__
            _logger.warning("nobody was told of a job", extra={"fields": {"job": job, "error": cause}})
            return False
        return True


@asynccontextmanager
async def open_broker(settings: Settings, *, listening: bool = False) -> AsyncGenerator[AsyncBroker]:
    """Give the way to the workers, which connects when it is first used, and close it in the end."""
    broker = (
        InMemoryBroker() if settings.redis_url is None else _stream(settings.redis_url.get_secret_value(), listening)
    )
    try:
        yield broker
    finally:
        await broker.shutdown()


def _stream(url: str, listening: bool) -> RedisStreamBroker:
    timeout = LISTEN_TIMEOUT_SECONDS if listening else TIMEOUT_SECONDS
    return RedisStreamBroker(
        url,
        queue_name=STREAM,
        consumer_group_name=GROUP,
        # A name of its own for each process: two with one name would take each other's messages for theirs.
        consumer_name=f"{socket.gethostname()}-{uuid4().hex[:8]}",
        # From the first message on, those that came before any worker included.
        consumer_id="0",
        # One at a time: what a worker has fetched and not begun, no other can do.
        xread_count=1,
        xread_block=BLOCK_MS,
        maxlen=MAX_MESSAGES,
        idle_timeout=IDLE_MS,
        unacknowledged_batch_size=10,
        unacknowledged_lock_timeout=CLAIM_LOCK_SECONDS,
        max_connection_pool_size=SEND_CONNECTIONS,
        # Of the pool: to wait for a free connection.
        timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=timeout,
    )


async def forget_dead_consumers(redis: Redis) -> None:
    """Drop the consumers that ended: each start of a worker makes a new one."""
    if not await redis.exists(STREAM):
        return
    for consumer in await redis.xinfo_consumers(STREAM, GROUP):
        if consumer["pending"] == 0 and consumer["idle"] > FORGET_CONSUMER_SECONDS * 1000:
            await redis.xgroup_delconsumer(STREAM, GROUP, consumer["name"])


class JobsAfterAnswer:
    """Announces work when the answer is out: that is short, and may be lost."""

    def __init__(self, jobs: JobQueue, background: BackgroundTasks) -> None:
        """Take the queue and the tasks of the request."""
        self._jobs = jobs
        self._background = background

    def put(self, job: str, subject: UUID) -> None:
        """Tell the workers later that there is something to do."""
        self._background.add_task(self._jobs.put, job, subject, request_id.get())


async def get_jobs(request: Request) -> JobQueue:
    """Find the queue that the lifespan opened."""
    found: JobQueue = request.state.jobs
    return found


async def jobs_after_answer(
    jobs: Annotated[JobQueue, Depends(get_jobs)], background: BackgroundTasks
) -> JobsAfterAnswer:
    """Provide the way to the workers to an endpoint."""
    return JobsAfterAnswer(jobs, background)


LaterJobs = Annotated[JobsAfterAnswer, Depends(jobs_after_answer)]
