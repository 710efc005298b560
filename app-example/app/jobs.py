"""Doing what the queue delivers.

Owns how many jobs run at the same time, what becomes of them when the process stops, and what is said of them in logs,
metrics and traces. Deliberately knows no job: `app.work` says which there are.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from uuid import UUID

from opentelemetry import trace
from taskiq import AsyncBroker

from app.error_reports import ErrorReports
from app.request_context import request_id, trace_id
from app.telemetry import Tracing

CONCURRENCY = 4
"""Jobs of one process at the same time: each may use a connection to Postgres and two parts of an object."""
CANCEL_SECONDS = 3
"""Time in which jobs that were cut off give their work back."""


class Outcome(StrEnum):
    """How a job ended."""

    DONE = "done"
    FAILED = "failed"
    """For good."""
    IDLE = "idle"
    """There was nothing to do, or somebody else does it."""
    LOST = "lost"
    """Somebody else took over meanwhile."""
    RELEASED = "released"
    """Given back because the worker stops."""
    RETRIED = "retried"
    """It failed, and will be tried again."""


Job = Callable[[UUID], Awaitable[Outcome]]
Observe = Callable[[str, Outcome, float], None]
"""Is told the name of a job, how it ended, and how many seconds it took."""

_logger = logging.getLogger(__name__)


class JobRunner:
    """The jobs of one process."""

    def __init__(
        self, jobs: Mapping[str, Job], observe: Observe, reports: ErrorReports, traces: Tracing | None = None
    ) -> None:
        """Take what can be done, by name, who is told how it went, and the tracer where there is one."""
        self._jobs = jobs
        self._observe = observe
        self._reports = reports
        self._traces = traces
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._running: set[asyncio.Task[object]] = set()
        self._stopped = False

    def register(self, broker: AsyncBroker) -> None:
        """Make the broker's messages find their jobs."""
        for name in self._jobs:
            broker.register_task(self._task(name), task_name=name)

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more, give the running jobs time to end, and cut off those that need more."""
        self._stopped = True
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)
        left = set(self._running)
        for task in left:
            task.cancel()
        if left:
            _logger.warning("jobs are given back", extra={"fields": {"jobs": len(left)}})
            await asyncio.wait(left, timeout=CANCEL_SECONDS)

    def _task(self, name: str) -> Callable[[str, str | None], Awaitable[None]]:
        async def run(subject: str, wanted_by: str | None = None) -> None:
            async with self._turns:
                # What is not begun now is swept by another worker.
                if not self._stopped:
                    await self._run(name, UUID(subject), wanted_by)

        return run

    async def _run(self, name: str, subject: UUID, wanted_by: str | None) -> None:
        # A task of its own: taskiq treats what cuts off a job as an error of the job.
        task = asyncio.create_task(self._observed(name, subject, wanted_by))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait([task])

    async def _observed(self, name: str, subject: UUID, wanted_by: str | None) -> None:
        request_id.set(wanted_by)
        with self._traced(name):
            await self._timed(name, subject)

    @contextmanager
    def _traced(self, name: str) -> Generator[None]:
        if self._traces is None:
            yield
            return
        with self._traces.job_span(name) as span:
            trace_id.set(trace.format_trace_id(span.get_span_context().trace_id))
            yield

    async def _timed(self, name: str, subject: UUID) -> None:
        started = time.perf_counter()
        outcome = Outcome.RETRIED
        try:
            outcome = await self._jobs[name](subject)
        except asyncio.CancelledError:
            outcome = Outcome.RELEASED
        except Exception as exc:
            # The lease ends by itself, and then somebody tries again.
            _logger.exception("a job broke off")
            self._reports.capture(exc, where=name)
        seconds = time.perf_counter() - started
        self._observe(name, outcome, seconds)
        if outcome is not Outcome.IDLE:
            fields = {"job": name, "subject": str(subject), "outcome": outcome, "duration_ms": round(seconds * 1000, 1)}
            _logger.info("job", extra={"fields": fields})
