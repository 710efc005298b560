"""Metrics: what Prometheus scrapes.

Owns a registry for each application, the figures of requests, of the connection pool and of the dependencies, and the
listener on a port of its own, which no route of the public leads to. Other modules add their gauges with `gauge`.
Labels have few values: a method, a route's template, a class of statuses. Probes are left out; they would be half of
the traffic. Deliberately one server process for each port: with `--workers 2` a scrape would show one process and hide
the other, so the second does not start. More pods are the way; where processes must share a pod, `METRICS_PORT=0`.
Source: https://prometheus.io/docs/practices/naming/
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, TypeVar

from fastapi_platform_runtime.health import Health, Verdict
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from app.settings import Settings

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of latency: fine around the objective of half a second, and up to what a load balancer waits."""
READ_SECONDS = 2.0
"""Longest that a scrape waits for a figure; Prometheus itself gives up after ten."""
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""The methods that have a label of their own; anybody can make up another."""
OTHER_METHOD = "OTHER"
UNMATCHED = "unmatched"
"""Label of all paths that no route has."""

Value = TypeVar("Value")
Reading = Callable[[], float | Awaitable[float]]
_logger = logging.getLogger(__name__)


class MetricsPortError(OSError):
    """The metrics have no port to listen on."""


class Metrics:
    """What one process counts."""

    def __init__(self, settings: Settings) -> None:
        """Begin at zero; made within the event loop, which asynchronous readings run in."""
        self.registry = CollectorRegistry()
        self._figures = _Figures(asyncio.get_running_loop())
        self.registry.register(self._figures)
        self._requests = self._counter("http_requests", "Requests answered", ("method", "route", "status_class"))
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to the end of an answer",
            ("method", "route"),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        # What has been looked up once: a registry finds a child by its labels under a lock.
        self._children: dict[tuple[str, str | None, int | None], tuple[Counter, Histogram]] = {}
        self._in_progress = 0
        self.gauge("http_requests_in_progress", "Requests being served", lambda: self._in_progress)
        self._exceptions = self._counter("unhandled_exceptions", "Exceptions that nobody handled", ("type",))
        about = Gauge("app_info", "What runs here", ("service", "environment", "release"), registry=self.registry)
        about.labels(settings.service_name, settings.environment, settings.release).set(1)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def request_began(self) -> None:
        """Count a request in."""
        self._in_progress += 1

    def request_ended(self, method: str, route: str | None, status: int | None, seconds: float) -> None:
        """Count a request out; without a status its connection broke before an answer."""
        self._in_progress -= 1
        known = method if method in METHODS else OTHER_METHOD
        children = self._children.get((known, route, status))
        if children is None:
            labels = known, route or UNMATCHED
            status_class = f"{status // 100}xx" if status else "none"
            children = self._requests.labels(*labels, status_class), self._seconds.labels(*labels)
            self._children[known, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def exception(self, error: BaseException) -> None:
        """Count an exception that nobody handled."""
        self._exceptions.labels(type(error).__name__).inc()

    def gauge(self, name: str, documentation: str, read: Reading) -> None:
        """Add a figure that is read at each scrape; one that raises or hangs is missing from it, and no more.

        Args:
            name: With the unit at its end, without labels.
            documentation: What it says.
            read: Plain functions run in the listener's thread, asynchronous ones in the event loop.
        """
        self._figures.add((name,), read, lambda value: [GaugeMetricFamily(name, documentation, value)])

    def gauges(self, documentation: Mapping[str, str], read: Callable[[], Awaitable[Sequence[float]]]) -> None:
        """Add figures that are read together.

        Args:
            documentation: What each says, by its name.
            read: Gives the values in the order of the names.
        """

        def shown(values: Sequence[float] | None) -> list[Metric]:
            found = values or [None] * len(documentation)
            named = zip(documentation.items(), found, strict=True)
            return [GaugeMetricFamily(name, text, value) for (name, text), value in named]

        self._figures.add(tuple(documentation), read, shown)

    def watch_pool(self, engine: AsyncEngine) -> None:
        """Show the connections of an engine."""
        pool = engine.pool
        if isinstance(pool, QueuePool):
            self.gauge("db_pool_size", "Connections that stay open", pool.size)
            self.gauge("db_pool_checked_out", "Connections in use", pool.checkedout)
            self.gauge("db_pool_overflow", "Connections beyond the size", lambda: max(pool.overflow(), 0))

    def watch_health(self, health: Health, names: Sequence[str]) -> None:
        """Show which dependencies work; a scrape asks as readiness does, and shares its answers."""

        def shown(verdict: Verdict | None) -> list[Metric]:
            family = GaugeMetricFamily("dependency_up", "Whether a dependency works", labels=("dependency",))
            if verdict is not None:
                broken = {*verdict.failing, *verdict.degraded}
                for name in names:
                    family.add_metric((name,), float(name not in broken))
            return [family]

        self._figures.add(("dependency_up",), health.verdict, shown)

    def _counter(self, name: str, documentation: str, labels: Sequence[str]) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)


class _Figures(Collector):
    """Figures that are read at each scrape, all of them at the same time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._figures: dict[tuple[str, ...], tuple[Callable[[], Any], Callable[[Any], list[Metric]]]] = {}

    def add(
        self,
        names: tuple[str, ...],
        read: Callable[[], Value | Awaitable[Value]],
        shown: Callable[[Value | None], list[Metric]],
    ) -> None:
        """Add figures that nobody else has added, and that one reading gives."""
        taken = {name for each in self._figures for name in each}.intersection(names)
        if taken:
            raise ValueError(f"there is a metric {taken.pop()} already")
        self._figures[names] = read, shown

    def describe(self) -> Iterable[Metric]:
        # The registry would collect otherwise, in the event loop's own thread.
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read in the listener's thread what can be, and ask the event loop for the rest."""
        values: dict[tuple[str, ...], Any] = {}
        waiting: dict[tuple[str, ...], Future[Any]] = {}
        for names, (read, _) in self._figures.items():
            try:
                value = read()
                if isawaitable(value):
                    waiting[names] = asyncio.run_coroutine_threadsafe(_in_time(value), self._loop)
                else:
                    values[names] = value
            except Exception as exc:
                _missing(names, exc)
        for names, future in waiting.items():
            try:
                values[names] = future.result(2 * READ_SECONDS)
            except Exception as exc:
                _missing(names, exc)
        return [family for names, (_, shown) in self._figures.items() for family in shown(values.get(names))]


async def _in_time(value: Awaitable[Value]) -> Value:
    async with asyncio.timeout(READ_SECONDS):
        return await value


def _missing(names: tuple[str, ...], error: Exception) -> None:
    _logger.warning("metric %s cannot be read: %s", ", ".join(names), type(error).__name__)


@asynccontextmanager
async def open_metrics(settings: Settings) -> AsyncGenerator[Metrics]:
    """Give the metrics of the process, and let them be scraped until the end.

    Raises:
        MetricsPortError: Somebody else listens on the port.
    """
    disable_created_metrics()
    metrics = Metrics(settings)
    if settings.metrics_port == 0:
        yield metrics
        return
    try:
        listener, thread = start_http_server(settings.metrics_port, settings.metrics_address, metrics.registry)
    except OSError as exc:
        reason = f"{exc.strerror}; several server processes in a pod need METRICS_PORT=0"
        raise MetricsPortError(f"cannot listen on METRICS_PORT {settings.metrics_port}: {reason}") from None
    try:
        yield metrics
    finally:
        await asyncio.to_thread(listener.shutdown)
        listener.server_close()
        await asyncio.to_thread(thread.join)
