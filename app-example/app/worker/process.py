"""The process that does what requests left to be done.

Owns its resources, its signals and its end. At the first SIGTERM it takes nothing new and gives what runs
`Pace.grace_seconds` to finish; what needs longer goes back to the queue. A second signal ends the process at once:
leases end by themselves. Deliberately no server: nobody calls a worker.
"""

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack

import uvloop
from taskiq import AsyncBroker
from taskiq.acks import AcknowledgeType
from taskiq.receiver import Receiver

from app import heartbeat, logs, telemetry
from app.database import open_database
from app.error_reports import open_error_reports
from app.jobs import CONCURRENCY
from app.main import STARTUP_FAILURE, settings_from_environment
from app.metrics import MetricsPortError, open_metrics
from app.outbound import open_outbound
from app.pace import PACE, Pace
from app.queue import open_broker
from app.redis import UNAVAILABLE, open_redis
from app.settings import Settings
from app.storage import open_storage
from app.work import Parts, open_work

LISTEN_AGAIN_SECONDS = 2
"""Pause after Redis went away."""

_logger = logging.getLogger(__name__)


def main(pace: Pace = PACE) -> int:
    """Work until a signal comes."""
    settings = settings_from_environment()
    logs.configure(logs.Origin.of(settings), settings.log_level)
    try:
        uvloop.run(work(settings, pace))
    except MetricsPortError as exc:
        _logger.critical("cannot start: %s", exc)
        return STARTUP_FAILURE
    return 0


async def work(settings: Settings, pace: Pace) -> None:
    """Work until a signal comes."""
    stop = _stop_at_signals()
    traces = telemetry.tracing(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry.open_export(settings, traces))
        metrics = await stack.enter_async_context(open_metrics(settings))
        error_reports = await stack.enter_async_context(open_error_reports(settings, metrics))
        broker = await stack.enter_async_context(open_broker(settings, listening=True))
        database = await stack.enter_async_context(open_database(settings.database))
        redis = await stack.enter_async_context(open_redis(settings))
        metrics.watch_pool(database.engine)
        if traces:
            traces.watch(database.engine, redis)
        parts = Parts(
            broker=broker,
            database=database,
            error_reports=error_reports,
            metrics=metrics,
            outbound=await stack.enter_async_context(open_outbound(settings, traces)),
            redis=redis,
            storage=await stack.enter_async_context(open_storage(settings)),
            traces=traces,
        )
        await stack.enter_async_context(open_work(settings, parts, pace))
        beating = asyncio.create_task(heartbeat.beat())
        _logger.info("worker started")
        try:
            await (stop.wait() if settings.redis_url is None else _listen(broker, stop))
        finally:
            _logger.info("worker stops")
    beating.cancel()
    _logger.info("worker stopped")


async def _listen(broker: AsyncBroker, stop: asyncio.Event) -> None:
    """Take what the queue delivers, again after Redis was away or has lost everything."""
    while not stop.is_set():
        try:
            await broker.startup()
            receiver = Receiver(
                broker,
                ack_type=AcknowledgeType.WHEN_EXECUTED,
                max_async_tasks=CONCURRENCY,
                run_startup=False,
                # Jobs that run are waited for by whoever owns them.
                wait_tasks_timeout=0,
            )
            await receiver.listen(stop)
        except* UNAVAILABLE as exc:
            error = type(exc.exceptions[0]).__name__
            _logger.warning("the queue is away", extra={"fields": {"error": error}})
            await _wait(stop, LISTEN_AGAIN_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _stop_at_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def told(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told, number)
    return stop
