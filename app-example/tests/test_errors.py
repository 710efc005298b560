"""Every error has one shape, leads to its log lines and shows nothing of the internals."""

import asyncio
import json
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from app.errors import MAX_ERRORS, MAX_PLACE_LENGTH
from app.main import create_app
from tests.edge_routes import SENTINEL, BrokenMiddleware, edge_app
from tests.support import production_settings, serve, signed_in, valid_settings

UNFORESEEN = ["/v1/edge/broken", "/v1/edge/broken-dependency"]


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of an application with routes that fail."""
    async with serve(edge_app()) as client:
        client.headers.update(signed_in(production_settings()))
        yield client


def assert_problem(response: httpx.Response, status: int) -> None:
    """Compare with the shape that every error has."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["title"]) == ("about:blank", HTTPStatus(status).phrase)
    assert (problem["status"], problem["request_id"]) == (status, response.headers["X-Request-ID"])
    assert len(problem["trace_id"]) == 32
    assert set(problem) <= {"type", "title", "status", "detail", "request_id", "trace_id", "errors"}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.control("consistent-error-schema")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/edge/failing/409", 409),
        ("GET", "/v1/edge/failing/415", 415),
        ("GET", "/v1/edge/failing/429", 429),
        ("GET", "/v1/edge/failing/503", 503),
        ("DELETE", "/v1/edge/stream", 405),
        ("POST", "/v1/edge/echo", 422),
        ("GET", "/v1/edge/plain-error", 418),
        ("GET", "/v1/orders", 503),
        *[("GET", path, 500) for path in UNFORESEEN],
    ],
)
async def test_every_error_is_a_problem_whose_trace_is_in_the_logs(
    capsys: pytest.CaptureFixture[str], method: str, path: str, status: int
) -> None:
    async with serve(edge_app()) as client:
        response = await client.request(method, path, headers=signed_in(production_settings()))
    assert_problem(response, status)
    (line,) = [line for line in lines(capsys) if line["message"] == "request"]
    assert (line["trace_id"], line["status"]) == (response.json()["trace_id"], status)


async def test_a_wrong_method_keeps_its_header(client: httpx.AsyncClient) -> None:
    response = await client.delete("/v1/edge/echo")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "allowed"), [("/v1/orders", "GET, POST"), ("/v1/products/MUG-1", "GET, PUT"), ("/v1/auth/me", "GET")]
)
async def test_a_wrong_method_is_told_all_that_the_path_has(path: str, allowed: str) -> None:
    async with serve(create_app(valid_settings())) as client:
        assert (await client.delete(path)).headers["Allow"] == allowed


@pytest.mark.parametrize("status", [429, 503])
async def test_a_client_learns_when_to_come_back(client: httpx.AsyncClient, status: int) -> None:
    assert (await client.get(f"/v1/edge/failing/{status}")).headers["Retry-After"] == "7"


async def test_an_error_of_a_library_keeps_its_headers_and_its_words(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/edge/plain-error")
    assert_problem(response, 418)
    assert response.json()["detail"] == "no tea"
    assert response.headers["X-Kept"] == "yes"
    assert int(response.headers["Content-Length"]) == len(response.content)


async def test_invalid_input_is_named_by_place_and_not_repeated(client: httpx.AsyncClient) -> None:
    body = {"sku": SENTINEL, "quantity": "3", "note": SENTINEL}
    response = await client.post("/v1/orders", json=body)
    assert_problem(response, 422)
    assert set(response.json()["errors"]) == {"body.sku", "body.quantity", "body.note"}
    assert SENTINEL not in response.text


async def test_an_answer_names_some_places_however_many_are_wrong(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/orders", json={"k" * 200: 1} | {f"key{number}": 1 for number in range(40)})
    assert_problem(response, 422)
    errors = response.json()["errors"]
    assert len(errors) == MAX_ERRORS
    assert max(map(len, errors)) == MAX_PLACE_LENGTH + 1


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=ten", "after=x", "after=1-2", f"after={'f' * 15}-{'0' * 32}"]
)
async def test_invalid_paging_is_a_problem(client: httpx.AsyncClient, query: str) -> None:
    assert_problem(await client.get(f"/v1/orders?{query}"), 422)


@pytest.mark.control("no-stack-trace-leak")
@pytest.mark.parametrize("path", UNFORESEEN)
async def test_an_unforeseen_exception_is_logged_and_not_shown(capsys: pytest.CaptureFixture[str], path: str) -> None:
    async with serve(edge_app()) as client:
        response = await client.get(path)
    assert set(response.json()) == {"type", "title", "status", "request_id", "trace_id"}
    (logged,) = [line for line in lines(capsys) if line["message"] == "unhandled error"]
    assert logged["request_id"] == response.json()["request_id"]
    assert logged["trace_id"] == response.json()["trace_id"]
    assert f"RuntimeError: {SENTINEL}" in logged["exception"]


@pytest.mark.control("no-stack-trace-leak")
async def test_a_middleware_that_fails_shows_nothing() -> None:
    app = edge_app()
    app.add_middleware(BrokenMiddleware)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
        response = await client.get("/v1/edge/stream")
    assert response.status_code == 500
    assert response.json() == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


@pytest.mark.control("no-stack-trace-leak")
async def test_a_missing_database_shows_neither_its_address_nor_a_statement(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/orders")
    assert_problem(response, 503)
    assert response.json()["detail"] == "The service cannot reach its data now."
    assert "127.0.0.1" not in response.text


@pytest.mark.control("no-stack-trace-leak")
async def test_an_exception_in_a_stream_cuts_the_connection_and_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Ending such an answer as if nothing had happened would pass off a part as the whole."""
    app = edge_app()
    received: list[Any] = []

    async def send(message: Any) -> None:
        received.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    headers = [(b"host", b"orders.test")]
    scope = {"type": "http", "method": "GET", "path": "/v1/edge/broken-stream", "headers": headers, "query_string": b""}
    with pytest.raises(RuntimeError, match=SENTINEL):
        await app(scope, receive, send)
    assert [message.get("body") for message in received] == [None, b"first"]
    (logged,) = [line for line in lines(capsys) if line["message"] == "unhandled error"]
    assert len(logged["request_id"]) == 32
