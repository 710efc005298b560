"""The worker process begins a trace for each job, and whoever it calls can go on with it."""

from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.receivers import receiving
from tests.test_telemetry import spans
from tests.workers import office, until, worker


@pytest.mark.services
@pytest.mark.control("otel-tracing", "log-correlation-ids")
async def test_a_job_its_statements_and_its_call_share_one_trace(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with receiving() as collector, receiving() as hook:
        async with office(database_url, redis_url, tmp_path) as desk:
            desk.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
            desk.environment["TRACE_SAMPLE_RATIO"] = "1"
            desk.environment["WEBHOOK_URL"] = hook.url

            async def is_told() -> bool:
                return bool(hook.received)

            with worker(desk, tmp_path / "log") as only:
                await desk.final(await desk.request())
                await until(is_told)
                assert only.terminate() == 0
        lines = {line["job"]: line for line in only.lines() if line["message"] == "job"}
    found = spans(collector)
    jobs = {span.span_id.hex(): span for span in found if span.kind == Span.SPAN_KIND_CONSUMER}
    assert {span.name for span in jobs.values()} == {"exports.run", "exports.notify"}
    for name, line in lines.items():
        span = jobs[line["span_id"]]
        assert (span.name, span.trace_id.hex()) == (name, line["trace_id"])
        statements = [each for each in found if each.parent_span_id == span.span_id and each.name.startswith("UPDATE")]
        assert {each.trace_id for each in statements} == {span.trace_id}
    trace_id = lines["exports.notify"]["trace_id"]
    assert hook.received[0].headers["traceparent"].startswith(f"00-{trace_id}-")
    # What the process does by itself, such as its sweep, begins none.
    assert {span.trace_id for span in found} == {span.trace_id for span in jobs.values()}
