"""The ids of a request, in and out, and the line that each request leaves."""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from fastapi import Depends, FastAPI

from app.auth.identity import CurrentIdentity
from app.main import create_app
from app.request_context import bind_identity
from app.settings import Settings
from tests.support import serve, signed_in, valid_settings

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def identifying_app(settings: Settings) -> FastAPI:
    """Return an application with a route that is only for those who are signed in, and waits for the others."""
    app = create_app(settings)

    @app.get("/v1/me/{number}")
    async def me(number: int, identity: CurrentIdentity) -> int:  # pyright: ignore[reportUnusedFunction]
        await asyncio.sleep(0.001 * (number % 3))
        return number

    return app


def requests(out: str) -> list[dict[str, Any]]:
    """Return the lines of requests."""
    lines = [json.loads(line) for line in out.splitlines()]
    return [line for line in lines if line["message"] == "request"]


@pytest.mark.control("log-correlation-ids")
async def test_an_id_from_outside_is_honoured() -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live", headers={"X-Request-ID": "edge-0123.4_5"})
    assert response.headers.get_list("X-Request-ID") == ["edge-0123.4_5"]


@pytest.mark.control("log-correlation-ids")
@pytest.mark.parametrize("hostile", ["short", "x" * 65, 'a"b{c}d,e', "spaces are out", "\u00fcnic\u00f6de-1".encode()])
async def test_an_id_that_could_disturb_a_log_is_replaced(hostile: str | bytes) -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live", headers=[(b"X-Request-ID", hostile)])  # type: ignore[list-item]
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.control("log-correlation-ids")
async def test_concurrent_requests_do_not_mix_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    settings = valid_settings()
    callers = [(f"request-{number}", f"{number + 1:032x}", uuid4(), uuid4()) for number in range(40)]
    async with serve(identifying_app(settings)) as client:
        responses = await asyncio.gather(
            *(
                client.get(
                    f"/v1/me/{number}",
                    headers={
                        "X-Request-ID": request_id,
                        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-00",
                        **signed_in(settings, tenant_id=tenant_id, user_id=user_id),
                    },
                )
                for number, (request_id, trace_id, user_id, tenant_id) in enumerate(callers)
            )
        )
    assert [response.headers["X-Request-ID"] for response in responses] == [each[0] for each in callers]
    lines = {line["request_id"]: line for line in requests(capsys.readouterr().out)}
    assert [_ids(lines[each[0]]) for each in callers] == callers


def _ids(line: dict[str, Any]) -> tuple[str, str, UUID, UUID]:
    return line["request_id"], line["trace_id"], UUID(line["user_id"]), UUID(line["tenant_id"])


@pytest.mark.control("log-correlation-ids")
async def test_who_calls_is_known_to_the_line_though_a_thread_found_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    app, user_id = create_app(valid_settings()), uuid4()

    def identify() -> None:
        bind_identity(user_id, uuid4())

    @app.get("/v1/threaded")
    async def threaded(_identity: Annotated[None, Depends(identify)]) -> None:  # pyright: ignore[reportUnusedFunction]
        pass

    async with serve(app) as client:
        await client.get("/v1/threaded")
        await client.get("/v1/nothing")
    known, unknown = requests(capsys.readouterr().out)
    assert (known["user_id"], "user_id" in unknown) == (str(user_id), False)


@pytest.mark.control("log-correlation-ids")
@pytest.mark.parametrize(
    ("traceparent", "continued"),
    [
        (TRACEPARENT, True),
        (f"01-{TRACE_ID}-00f067aa0ba902b7-01-more", True),
        (f"ff-{TRACE_ID}-00f067aa0ba902b7-01", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01", False),
        ("x", False),
    ],
)
async def test_a_trace_from_outside_is_continued_only_when_it_is_one(
    capsys: pytest.CaptureFixture[str], traceparent: str, continued: bool
) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/v1/orders/x", headers={"traceparent": traceparent})
    (line,) = requests(capsys.readouterr().out)
    assert len(line["trace_id"]) == 32
    assert (line["trace_id"] == TRACE_ID) is continued


@pytest.mark.control("structured-json-logs")
async def test_the_line_of_a_request_has_its_outcome_and_neither_path_nor_query(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/v1/orders/hunter2?limit=0&token=hunter2")
    out = capsys.readouterr().out
    (line,) = requests(out)
    wanted = {"method": "GET", "route": "/v1/orders/{order_id}", "status": 401, "severity": "INFO"}
    assert line.items() >= wanted.items()
    assert line["duration_ms"] >= 0
    assert line["timestamp"].endswith("+00:00")
    assert "hunter2" not in out


@pytest.mark.control("structured-json-logs", "log-redaction")
@pytest.mark.parametrize(
    "path", ["/healthz/hunter2@example.com", "/healthz/live/hunter2", "/healthz/", "/healthz/LIVE"]
)
async def test_what_only_looks_like_a_probe_is_traffic_and_not_repeated(
    capsys: pytest.CaptureFixture[str], path: str
) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get(path)
    out = capsys.readouterr().out
    (line,) = requests(out)
    assert line["status"] == 404
    assert "route" not in line
    assert "hunter2" not in out


async def test_only_probes_that_fail_leave_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/healthz/live")
        await client.get("/healthz/ready")
    assert [line["route"] for line in requests(capsys.readouterr().out)] == ["/healthz/ready"]
