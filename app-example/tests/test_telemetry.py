"""One trace for each request, and nothing in it that a user sent."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import text

from app import telemetry
from app.main import create_app
from app.settings import Settings
from tests.receivers import Receiver, receiving
from tests.support import serve, valid_settings

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """Give a collector of traces."""
    with receiving() as receiver:
        yield receiver


def traced_settings(collector: Receiver, ratio: float = 1, **overrides: object) -> Settings:
    """Return settings that trace every request, unless told."""
    return valid_settings(otel_exporter_otlp_endpoint=collector.url, trace_sample_ratio=ratio, **overrides)


def spans(collector: Receiver) -> list[Span]:
    """Return what has been exported."""
    batches = [ExportTraceServiceRequest.FromString(each.body) for each in collector.received]
    scopes = [scope for batch in batches for resource in batch.resource_spans for scope in resource.scope_spans]
    return [span for scope in scopes for span in scope.spans]


def attributes(span: Span) -> dict[str, Any]:
    """Return the attributes of a span."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@asynccontextmanager
async def calling_app(settings: Settings, upstream: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of an application that asks Postgres, Redis and another service."""
    app: FastAPI = create_app(settings)

    @app.get("/v1/calling/{name}")
    async def calling(request: Request, name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        state = request.state
        async with state.database.engine.connect() as connection:
            await connection.execute(text("SELECT 'hunter2-literal', CAST(:value AS text)"), {"value": "hunter2-bound"})
        await state.redis.set("hunter2-key", "hunter2-value")
        async with httpx.AsyncClient() as outbound:
            state.traces.watch_http(outbound)
            await outbound.get(f"{upstream}/hunter2-path", params={"q": "hunter2"}, headers={"X-Api-Key": "hunter2"})

    async with serve(app) as client:
        yield client


@pytest.mark.services
@pytest.mark.control("otel-tracing", "log-correlation-ids", "log-redaction")
async def test_request_statement_command_and_call_share_one_trace_that_the_upstream_continues(
    collector: Receiver, database_url: str, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = traced_settings(collector, database_url=database_url, redis_url=redis_url, release="r-17")
    with receiving() as upstream:
        async with calling_app(settings, upstream.url) as client:
            response = await client.get("/v1/calling/hunter2?q=hunter2", headers={**TRACED, "baggage": "b=hunter2"})
            assert response.status_code == 200
    found = {span.name.partition(" ")[0] + f".{span.kind}": span for span in spans(collector) if span.parent_span_id}
    server, call = found[f"GET.{Span.SPAN_KIND_SERVER}"], found[f"GET.{Span.SPAN_KIND_CLIENT}"]
    statement, command = found[f"SELECT.{Span.SPAN_KIND_CLIENT}"], found[f"SET.{Span.SPAN_KIND_CLIENT}"]
    assert {span.trace_id.hex() for span in (server, call, statement, command)} == {TRACE_ID}
    assert {span.parent_span_id for span in (call, statement, command)} == {server.span_id}
    assert server.name == "GET /v1/calling/{name}"
    (called,) = upstream.received
    assert called.headers["traceparent"] == f"00-{TRACE_ID}-{call.span_id.hex()}-01"
    assert "baggage" not in called.headers
    assert attributes(call)["server.address"] == "127.0.0.1"
    assert attributes(statement)["db.statement"] == "SELECT ?, CAST($1 AS text)"
    (line,) = [json.loads(each) for each in capsys.readouterr().out.splitlines() if "/v1/calling" in each]
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, server.span_id.hex())
    sent = b"".join(each.body for each in collector.received)
    assert b"hunter2" not in sent
    for expected in (b"r-17", b"service.version", b"deployment.environment.name", b"service.name"):
        assert expected in sent


@pytest.mark.control("otel-tracing")
async def test_an_exception_marks_its_span_and_is_not_told_there(collector: Receiver) -> None:
    app = create_app(traced_settings(collector))

    @app.get("/v1/broken")
    async def broken() -> None:  # pyright: ignore[reportUnusedFunction]
        raise LookupError("hunter2")

    async with serve(app) as client:
        assert (await client.get("/v1/broken")).status_code == 500
    (span,) = spans(collector)
    assert span.status.code == 2
    assert attributes(span)["http.response.status_code"] == 500
    assert attributes(span)["exception.type"] == "LookupError"
    assert b"hunter2" not in b"".join(each.body for each in collector.received)


@pytest.mark.services
async def test_what_nobody_asked_for_begins_no_trace(collector: Receiver, empty_database_url: str) -> None:
    async with serve(create_app(traced_settings(collector, database_url=empty_database_url))) as client:
        assert (await client.get("/healthz/ready")).status_code == 200
        await client.get("/v1/nothing")
    assert [span.name for span in spans(collector)] == ["GET"]


@pytest.mark.parametrize(("flag", "exported"), [("01", 1), ("00", 0)])
async def test_the_callers_decision_is_followed(collector: Receiver, flag: str, exported: int) -> None:
    settings = traced_settings(collector, ratio=0)
    async with serve(create_app(settings)) as client:
        await client.get("/v1/nothing", headers={"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-{flag}"})
        await client.get("/v1/nothing")
    assert len(spans(collector)) == exported


async def test_a_job_begins_a_trace(collector: Receiver) -> None:
    settings = traced_settings(collector)
    traces = telemetry.tracing(settings)
    assert traces
    async with telemetry.open_export(settings, traces):
        with pytest.raises(ValueError, match="hunter2"), traces.job_span("export"):
            raise ValueError("hunter2")
    (span,) = spans(collector)
    assert (span.name, span.kind, list(span.events)) == ("export", Span.SPAN_KIND_CONSUMER, [])


@pytest.mark.parametrize("failure", ["away", "refusing"])
async def test_a_collector_that_does_not_take_spans_costs_one_line(
    collector: Receiver, failure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.status = 400
    if failure == "away":
        collector.port = 1
    settings = traced_settings(collector)
    app = create_app(settings)
    async with serve(app) as client:
        for _ in range(3):
            assert (await client.get("/v1/nothing")).status_code == 404
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["message"] != "request"]
    assert (line["logger"], line["severity"]) == ("app.telemetry", "WARNING")


async def test_without_a_collector_nothing_is_traced() -> None:
    settings = valid_settings()
    assert telemetry.tracing(settings) is None
    assert telemetry.of_requests(None).get("tracing") is False
