"""Who is let in: host names, origins, and bodies that are not too large."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from tests.edge_routes import UPLOAD_MAX_BYTES, edge_app
from tests.support import production_settings, serve, valid_settings

JSON = {"Content-Type": "application/json"}


def is_problem(response: httpx.Response, status: int) -> bool:
    return response.status_code == status and response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.control("trusted-hosts")
@pytest.mark.parametrize("host", ["orders.test", "ORDERS.test:8443", "a.shops.test"])
async def test_a_listed_host_is_served(host: str) -> None:
    settings = production_settings(allowed_hosts="orders.test,*.shops.test")
    async with serve(edge_app(settings)) as client:
        assert (await client.get("/v1/edge/stream", headers={"Host": host})).status_code == 200


@pytest.mark.control("trusted-hosts")
@pytest.mark.parametrize("host", ["evil.test", "orders.test.evil.test", "shops.test", "127.0.0.1", "", "a b", "w.[::"])
async def test_any_other_host_is_a_problem(host: str) -> None:
    settings = production_settings(allowed_hosts="www.orders.test,*.shops.test")
    async with serve(edge_app(settings)) as client:
        response = await client.get("/v1/edge/stream", headers={"Host": host})
        without_www = await client.get("/v1/edge/stream", headers={"Host": "orders.test"})
    assert is_problem(response, 400)
    assert response.json()["detail"] == "Invalid host header"
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert is_problem(without_www, 400)


@pytest.mark.control("trusted-hosts")
@pytest.mark.parametrize("host", ["10.0.3.7:8000", "orders.test", "anything"])
async def test_probes_are_answered_under_any_name(host: str) -> None:
    async with serve(edge_app()) as client:
        assert (await client.get("/healthz/live", headers={"Host": host})).status_code == 200


@pytest.mark.control("trusted-hosts")
async def test_what_only_looks_like_a_probe_is_not() -> None:
    async with serve(edge_app()) as client:
        assert is_problem(await client.get("/healthz/other", headers={"Host": "anything"}), 400)


@pytest.mark.control("trusted-hosts")
async def test_a_developer_s_machine_that_states_no_names_takes_all() -> None:
    async with serve(edge_app(valid_settings())) as client:
        assert (await client.get("/v1/edge/stream", headers={"Host": "anything"})).status_code == 200


@pytest.mark.control("cors-allow-list")
@pytest.mark.parametrize("method", ["DELETE", "GET", "PATCH", "POST", "PUT"])
async def test_a_listed_origin_may_call_with_its_token(method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    async with serve(edge_app()) as client:
        preflight = await client.options("/v1/orders", headers={"Origin": "https://shop.test", **asked})
        answer = await client.get("/v1/edge/broken", headers={"Origin": "https://shop.test"})
    assert preflight.status_code == 200
    for response in (preflight, answer):
        assert response.headers.get_list("Access-Control-Allow-Origin") == ["https://shop.test"]
        assert response.headers.get_list("Access-Control-Allow-Credentials") == ["true"]
        assert "Origin" in response.headers["Vary"]
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.control("cors-allow-list")
@pytest.mark.parametrize(
    "origin", ["https://evil.test", "http://shop.test", "https://shop.test.evil.test", "https://shop.test:8443", "null"]
)
async def test_no_other_origin_is_granted_anything(origin: str) -> None:
    async with serve(edge_app()) as client:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = await client.options("/v1/orders", headers=headers)
        answer = await client.get("/v1/edge/stream", headers=headers)
    assert is_problem(preflight, 400)
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.control("cors-allow-list")
async def test_without_a_list_no_origin_is_granted_anything() -> None:
    async with serve(edge_app(production_settings(cors_origins=""))) as client:
        headers = {"Origin": "https://shop.test", "Access-Control-Request-Method": "GET"}
        preflight = await client.options("/v1/orders", headers=headers)
    assert is_problem(preflight, 405)
    assert "Access-Control-Allow-Origin" not in preflight.headers


async def sent(path: str, *chunks: bytes, headers: dict[str, str]) -> tuple[list[Message], int]:
    """Send a body chunk by chunk to the bare application; return its answer and how many chunks it took."""
    app = edge_app()
    remaining = list(chunks)
    answer: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        chunk = remaining.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(remaining)}

    async def send(message: Message) -> None:
        answer.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in {"Host": "orders.test", **headers}.items()]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": raw, "query_string": b""}
    async with app.router.lifespan_context(app) as state:
        await app({**scope, "root_path": "", "state": dict(state or {})}, receive, send)
    return answer, len(chunks) - len(remaining)


@pytest.mark.control("request-size-limit")
@pytest.mark.parametrize("path", ["/v1/edge/echo", "/v1/edge/stream", "/v1/nothing"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(path: str) -> None:
    answer, taken = await sent(path, b"x" * 500, b"x" * 525, headers={**JSON, "Content-Length": "1025"})
    assert (answer[0]["status"], taken) == (413, 0)
    assert (b"content-type", b"application/problem+json") in answer[0]["headers"]


@pytest.mark.control("request-size-limit")
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_body_of_unknown_length_is_refused_at_the_limit(kind: str) -> None:
    """Also where the declared length was a lie, which a server in front may let pass."""
    answer, taken = await sent("/v1/edge/echo", *[b"x" * 500] * 10, headers={"Content-Type": kind})
    assert (answer[0]["status"], taken) == (413, 3)
    assert (b"content-type", b"application/problem+json") in answer[0]["headers"]


@pytest.mark.control("request-size-limit")
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_limit_is_exact_and_a_route_may_have_its_own(streamed: bool) -> None:
    async def stream(body: bytes) -> AsyncIterator[bytes]:
        yield body

    async with serve(edge_app()) as client:
        for path, limit in (("/v1/edge/echo", 1024), ("/v1/uploads/echo", UPLOAD_MAX_BYTES)):
            fits, exceeds = b"x" * limit, b"x" * (limit + 1)
            taken = await client.post(path, content=stream(fits) if streamed else fits)
            assert (taken.status_code, taken.json()) == (200, fits.decode())
            assert is_problem(await client.post(path, content=stream(exceeds) if streamed else exceeds), 413)
