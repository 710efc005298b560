"""Every error has one shape, carries the request id and shows nothing of the internals."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from app.main import create_app
from tests.support import production_settings, serve, signed_in

SENTINEL = "sentinel-4711"


def broken_app() -> FastAPI:
    """Return a production application with two broken endpoints more, and no database."""
    app = create_app(production_settings())

    @app.get("/v1/broken")
    async def broken() -> None:  # pyright: ignore[reportUnusedFunction]
        raise RuntimeError(SENTINEL)

    @app.get("/v1/broken-stream")
    async def broken_stream() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        async def chunks() -> AsyncIterator[str]:
            yield "first"
            raise RuntimeError(SENTINEL)

        return StreamingResponse(chunks(), media_type="text/plain")

    return app


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the broken application."""
    async with serve(broken_app()) as client:
        client.headers.update(signed_in(production_settings()))
        yield client


def assert_problem(response: httpx.Response, status: int) -> None:
    """Compare with the shape that every error has."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["title"]) == ("about:blank", HTTPStatus(status).phrase)
    assert (problem["status"], problem["request_id"]) == (status, response.headers["X-Request-ID"])


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/nothing"), 404)


async def test_a_wrong_method_is_a_problem_and_keeps_its_header(client: httpx.AsyncClient) -> None:
    response = await client.delete("/v1/orders")
    assert_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) & {"GET", "POST"}


async def test_invalid_input_is_named_by_place_and_not_repeated(client: httpx.AsyncClient) -> None:
    body = {"sku": SENTINEL, "quantity": "3", "note": SENTINEL}
    response = await client.post("/v1/orders", json=body)
    assert_problem(response, 422)
    assert set(response.json()["errors"]) == {"body.sku", "body.quantity", "body.note"}
    assert SENTINEL not in response.text


async def test_a_body_that_is_not_json_is_a_problem(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert_problem(await client.post("/v1/orders", content="{", headers=headers), 422)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=ten", "after=x", "after=1-2", f"after={'f' * 15}-{'0' * 32}"]
)
async def test_invalid_paging_is_a_problem(client: httpx.AsyncClient, query: str) -> None:
    assert_problem(await client.get(f"/v1/orders?{query}"), 422)


async def test_an_unhandled_exception_is_logged_and_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(broken_app()) as client:
        response = await client.get("/v1/broken")
    assert_problem(response, 500)
    assert SENTINEL not in response.text
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (logged,) = [line for line in lines if line["message"] == "unhandled error"]
    assert logged["request_id"] == response.headers["X-Request-ID"]
    assert f"RuntimeError: {SENTINEL}" in logged["exception"]


async def test_a_missing_database_shows_neither_its_address_nor_a_statement(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/v1/orders")
    assert_problem(response, 500)
    assert set(response.json()) == {"type", "title", "status", "request_id"}


async def test_an_exception_in_a_stream_cuts_the_connection(client: httpx.AsyncClient) -> None:
    """Ending such an answer as if nothing had happened would pass off a part as the whole."""
    with pytest.raises(RuntimeError, match=SENTINEL):
        await client.get("/v1/broken-stream")
