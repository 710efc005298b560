"""The request id, in and out, and the line that each request leaves."""

import asyncio
import json

import pytest

from app.main import create_app
from tests.support import serve, valid_settings


async def test_an_id_from_outside_is_honoured() -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live", headers={"X-Request-ID": "edge-0123.4_5"})
    assert response.headers.get_list("X-Request-ID") == ["edge-0123.4_5"]


@pytest.mark.parametrize("hostile", ["short", "x" * 65, 'a"b{c}d,e', "spaces are out", "\u00fcnic\u00f6de-1".encode()])
async def test_an_id_that_could_disturb_a_log_is_replaced(hostile: str | bytes) -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live", headers=[(b"X-Request-ID", hostile)])  # type: ignore[list-item]
    assert len(response.headers["X-Request-ID"]) == 32


async def test_concurrent_requests_do_not_mix_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(create_app(valid_settings())) as client:
        ids = [f"request-{number}" for number in range(20)]
        await asyncio.gather(*(client.get(f"/v1/orders/{name}", headers={"X-Request-ID": name}) for name in ids))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    requests = {line["request_id"]: line["path"] for line in lines if line["message"] == "request"}
    assert requests == {name: f"/v1/orders/{name}" for name in ids}


async def test_the_line_of_a_request_has_its_outcome_and_not_its_query(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/v1/orders?limit=0&token=hunter2")
    out = capsys.readouterr().out
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line.items() >= {"method": "GET", "path": "/v1/orders", "status": 401, "severity": "INFO"}.items()
    assert line["duration_ms"] >= 0
    assert line["timestamp"].endswith("+00:00")
    assert "hunter2" not in out


async def test_only_probes_that_fail_leave_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/healthz/live")
        await client.get("/healthz/ready")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["path"] for line in lines if line["message"] == "request"] == ["/healthz/ready"]
