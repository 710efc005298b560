"""Figures of background work.

Owns what is counted of jobs, and the backlog, which every process reads from the same rows: take the maximum over the
processes, not the sum. Deliberately asks Postgres and not the queue, which may have lost what waits.
"""

from prometheus_client import Counter, Histogram

from app.exports.outbox import Outbox
from app.jobs import Observe, Outcome
from app.metrics import Metrics

BUCKETS_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0)
"""Upper bounds of a job's time, up to the longest that one attempt takes."""


def count_work(metrics: Metrics, outbox: Outbox) -> Observe:
    """Add the figures to those of the process, and return whom to tell of each job."""
    ended = Counter("jobs", "Jobs by how they ended", ("job", "outcome"), registry=metrics.registry)
    seconds = Histogram(
        "job_duration_seconds", "Time of a job", ("job",), buckets=BUCKETS_SECONDS, registry=metrics.registry
    )

    async def backlog() -> tuple[float, ...]:
        found = await outbox.backlog()
        return found.queued, found.running, found.oldest_seconds

    metrics.gauges(
        {
            "jobs_queued": "Jobs that wait for a worker",
            "jobs_running": "Jobs that somebody works on",
            "jobs_oldest_waiting_seconds": "How long the oldest job has waited for a worker",
        },
        backlog,
    )

    def observe(job: str, outcome: Outcome, took_seconds: float) -> None:
        ended.labels(job, outcome).inc()
        seconds.labels(job).observe(took_seconds)

    return observe
