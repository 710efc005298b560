"""Assembly of what workers do.

Owns which jobs and chores there are. A worker process runs them all; where a developer has no Redis, the API's own
process does (`app.resources`), so that an export works there too.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from taskiq import AsyncBroker

from app.auth.jobs import RESET
from app.auth.reset_delivery import ResetDelivery
from app.auth.reset_messages import open_reset_messages
from app.chores import CLEAN_SECONDS, Chore, Chores, of_redis, repeat
from app.database import Database
from app.error_reports import ErrorReports
from app.exports.jobs import NOTIFY, RUN
from app.exports.leases import Leases
from app.exports.outbox import Outbox
from app.exports.runner import ExportRunner
from app.exports.webhook import WebhookNotifier
from app.jobs import Job, JobRunner
from app.metrics import Metrics
from app.outbound import Outbound
from app.pace import PACE, Pace
from app.queue import JobQueue
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Tracing
from app.work_metrics import count_work


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the work needs; opened and closed by the process."""

    broker: AsyncBroker
    database: Database
    error_reports: ErrorReports
    metrics: Metrics
    outbound: Outbound
    redis: Redis | None
    storage: Storage
    traces: Tracing | None


@asynccontextmanager
async def open_work(settings: Settings, parts: Parts, pace: Pace = PACE) -> AsyncGenerator[JobRunner]:
    """Do jobs and chores until the end, at which those that run get some time to finish."""
    outbox = Outbox(parts.database, pace)
    observe = count_work(parts.metrics, outbox)
    queue = JobQueue(parts.broker)
    resets = ResetDelivery(parts.database, open_reset_messages(settings, parts.outbound), queue, pace)
    runner = JobRunner({**_jobs(settings, parts, pace), RESET: resets.run}, observe, parts.error_reports, parts.traces)
    runner.register(parts.broker)
    chores = [*_chores(settings, parts, pace, outbox), Chore("sweep resets", resets.sweep, pace.sweep_seconds)]
    tasks = [asyncio.create_task(repeat(chore, parts.error_reports)) for chore in chores]
    try:
        yield runner
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.stop(pace.grace_seconds)


def _chores(settings: Settings, parts: Parts, pace: Pace, outbox: Outbox) -> list[Chore]:
    queue = JobQueue(parts.broker)
    chores = Chores(parts.database, parts.storage, queue, outbox, notify=settings.webhook_url is not None)
    done = [
        Chore("sweep", chores.sweep, pace.sweep_seconds),
        Chore("forget exports", chores.forget, pace.clean_seconds),
        Chore("clean attachments", chores.clean_attachments, pace.clean_seconds, CLEAN_SECONDS),
        Chore("clean exports", chores.clean_exports, pace.clean_seconds, CLEAN_SECONDS),
    ]
    return [*done, Chore("queue", of_redis(parts.redis), pace.clean_seconds)] if parts.redis else done


def _jobs(settings: Settings, parts: Parts, pace: Pace) -> Mapping[str, Job]:
    notify = settings.webhook_url is not None
    leases = Leases(parts.database, pace)
    exports = ExportRunner(leases, parts.storage, pace, parts.error_reports, notify=notify)
    jobs: dict[str, Job] = {RUN: exports.run}
    if settings.webhook_url is not None:
        jobs[NOTIFY] = WebhookNotifier(parts.database, parts.outbound, settings.webhook_url, pace).run
    return jobs
