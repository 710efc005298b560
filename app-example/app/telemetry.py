"""Traces: OpenTelemetry, where a collector is configured.

Owns the tracer of an application and what it watches: requests, by FastAPI's own telemetry, and the clients that the
lifespan opens, each instance by itself, so that nothing is patched for the whole process. Owns too what a span may say.
An exporter before the real one passes the attributes on a list and drops the rest: paths, queries, headers, values,
texts of exceptions. Deliberately no metrics and no logs of OpenTelemetry: `app.metrics` and `app.logs` are them.
A request or a job begins a trace; what the process does by itself (a probe's ping, a pool's) begins none.
Source: https://fastapi.tiangolo.com/advanced/opentelemetry/
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from urllib.parse import urlsplit

from fastapi.telemetry import TelemetryConfig
from httpx import AsyncClient  # noqa: TID251 - a type: `app.outbound` makes it
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Status, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.redaction import without_secrets
from app.request_context import is_probe
from app.settings import Settings

EXPORT_SECONDS = 3.0
"""Longest that the collector takes for one batch, and about the longest that a shutdown waits for it."""
PASSED = frozenset(
    {
        *("db.name", "db.namespace", "db.operation", "db.operation.name", "db.query.text", "db.redis.args_length"),
        *("db.redis.pipeline_length", "db.statement", "db.system", "db.system.name", "error.type", "exception.type"),
        *("http.method", "http.request.method", "http.response.status_code", "http.route", "http.status_code"),
        *("messaging.operation.name", "net.peer.name", "net.peer.port", "server.address", "server.port"),
        "url.scheme",
    }
)
"""Attributes that are exported: none that holds what a user sent."""

_ADDRESSES = ("http.url", "url.full")
_STATEMENTS = ("db.query.text", "db.statement")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_logger = logging.getLogger(__name__)


class Tracing:
    """The tracer of one application."""

    def __init__(self, provider: TracerProvider) -> None:
        """Trace by a provider."""
        self.provider = provider

    def watch(self, engine: AsyncEngine, redis: Redis | None) -> None:
        """Watch what a process asks, whatever of it there is."""
        self.watch_database(engine)
        if redis:
            self.watch_redis(redis)

    def watch_database(self, engine: AsyncEngine) -> None:
        """Give each statement of an engine a span, for as long as the engine lives."""
        # What the instrumentation does for an engine, without what it does to every other engine of the process.
        unused = NoOpMeterProvider().get_meter("app").create_up_down_counter("db.client.connections.usage")
        EngineTracer(self.provider.get_tracer("sqlalchemy"), engine.sync_engine, unused)

    def watch_redis(self, client: Redis) -> None:
        """Give each command of a client a span, for as long as the client lives."""
        RedisInstrumentor.instrument_client(client, tracer_provider=self.provider)

    def watch_http(self, client: AsyncClient) -> None:
        """Give each call of a client a span, and the callee its context, for as long as the client lives."""
        HTTPXClientInstrumentor.instrument_client(
            client, tracer_provider=self.provider, meter_provider=NoOpMeterProvider()
        )

    def job_span(self, name: str) -> AbstractContextManager[Span]:
        """Span a job that a worker does; `name` is the kind of job, one of few."""
        # The text of an exception would be exported; `error_reports` tells it, redacted.
        return self.provider.get_tracer("app").start_as_current_span(
            name, kind=SpanKind.CONSUMER, record_exception=False, set_status_on_exception=False
        )


def tracing(settings: Settings) -> Tracing | None:
    """Return the tracer of an application, which exports nothing before `open_export`; None where nobody collects."""
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    resource = Resource.create(
        {
            "service.name": settings.service_name,
            "service.version": settings.release,
            "deployment.environment.name": settings.environment.value,
        }
    )
    sampler = ParentBased(_Entrances(settings.trace_sample_ratio))
    return Tracing(TracerProvider(sampler, resource, shutdown_on_exit=False))


def of_requests(traces: Tracing | None) -> TelemetryConfig:
    """Return what FastAPI itself is to trace: the requests, and nothing where there is no tracer."""
    return {
        "auto_configure": False,
        "exclude": is_probe,
        "logs": False,
        "metrics": False,
        "operation_spans": False,
        "tracer_provider": traces.provider if traces else None,
        "tracing": traces is not None,
    }


@asynccontextmanager
async def open_export(settings: Settings, traces: Tracing | None) -> AsyncGenerator[None]:
    """Send finished spans to the collector while the process runs, and those that are left at the end."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if traces is None or endpoint is None:
        yield
        return
    # Importing it binds a socket: urllib3 looks for IPv6.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    exporter = _Discreet(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS))
    processor = BatchSpanProcessor(exporter)
    traces.provider.add_span_processor(processor)
    # Without baggage: what a client writes into it would travel on to every upstream.
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    try:
        yield
    finally:
        exporter.closing = True
        await asyncio.to_thread(processor.shutdown)


class _Entrances(TraceIdRatioBased):
    """Samples a share of the traces that a request or a job begins, and none that the process begins by itself."""

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a trace without a parent."""
        if kind not in (SpanKind.CONSUMER, SpanKind.SERVER):
            return SamplingResult(Decision.DROP)
        return super().should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)


class _Discreet(SpanExporter):
    """Exports what may be told; says once that the collector is away, and once that it is back."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.closing = False
        self._exporter = exporter
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; in the end no second one to a collector that did not take the first."""
        if self.closing and not self._works:
            return SpanExportResult.FAILURE
        try:
            result = self._exporter.export([_discreet(span) for span in spans])
        except Exception as exc:
            _logger.warning("spans cannot be exported: %s", type(exc).__name__)
            result = SpanExportResult.FAILURE
        works = result is SpanExportResult.SUCCESS
        if works is not self._works:
            _logger.log(*_WORKS_AGAIN if works else _IS_AWAY)
        self._works = works
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


_IS_AWAY = (logging.WARNING, "the collector of traces does not answer; spans are dropped until it does")
_WORKS_AGAIN = (logging.INFO, "the collector of traces answers again")


def _discreet(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        without_secrets(span.name),
        span.context,
        span.parent,
        span.resource,
        _passed(span.attributes or {}),
        [Event(event.name, _passed(event.attributes or {}), event.timestamp) for event in span.events],
        span.links,
        span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _passed(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    passed = {name: value for name, value in attributes.items() if name in PASSED}
    passed.update({name: _LITERAL.sub("?", str(passed[name])) for name in _STATEMENTS if name in passed})
    for name in _ADDRESSES:
        if name in attributes:
            passed["server.address"] = urlsplit(str(attributes[name])).hostname or "unknown"
    return passed
