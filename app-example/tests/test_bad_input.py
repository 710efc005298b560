"""Input that nobody's form sends: each is a clear 4xx, and nothing of it is repeated or logged."""

import json

import httpx
import pytest
from sqlalchemy import text

from app.database import Session
from app.edge.json_bodies import MAX_DEPTH, problem_of
from app.main import create_app
from tests.edge_routes import edge_app
from tests.support import serve, signed_in, valid_settings

pytestmark = pytest.mark.control("strict-input-validation")

JSON = "application/json"
SECRET = "hunter2-sentinel"
COMPLETE = '{"sku": "MUG-1", "quantity": 1}'
BODIES: dict[str, tuple[bytes, str]] = {
    "100,000 brackets": (b"[" * 100_000, JSON),
    "100,000 braces": (b'{"a":' * 30_000, JSON),
    "deeper than any model": (b"[" * 33 + b"]" * 33, JSON),
    "no JSON": (b"{hunter2-sentinel", JSON),
    "form": (b"sku=hunter2-sentinel", "application/x-www-form-urlencoded"),
    "text": (b'{"sku": "MUG-1", "quantity": 1}', "text/plain"),
    "no type": (b'{"sku": "MUG-1", "quantity": 1}', ""),
    "bad UTF-8": (b'{"sku": "\xff\xfe", "quantity": 1}', JSON),
    "UTF-16 that ends early": ('{"sku": "MUG-1"}'.encode("utf-16")[:-1], JSON),
    "UTF-16": (COMPLETE.encode("utf-16"), JSON),
    "UTF-16 without a mark": (COMPLETE.encode("utf-16-le"), JSON),
    "UTF-32": (COMPLETE.encode("utf-32"), JSON),
    "UTF-8 with a mark": (COMPLETE.encode("utf-8-sig"), JSON),
    "half a surrogate as it is": (b'{"sku": "\xed\xa0\x80", "quantity": 1}', JSON),
    "NUL": (b'{"sku": "A\\u0000hunter2-sentinel", "quantity": 1}', JSON),
    "NUL in a key": (b'{"\\u0000": 1}', JSON),
    "half a surrogate": (b'{"sku": "\\ud800", "quantity": 1}', JSON),
    "half a surrogate in a key": (b'{"\\ud800": 1}', JSON),
    "huge integer": (b'{"sku": "MUG-1", "quantity": ' + b"9" * 5000 + b"}", JSON),
    "integer beyond 64 bits": (b'{"sku": "MUG-1", "quantity": 99999999999999999999}', JSON),
    "huge exponent": (b'{"sku": "MUG-1", "quantity": 1e999}', JSON),
    "not a number": (b'{"sku": "MUG-1", "quantity": NaN}', JSON),
    "infinity": (b'{"sku": "MUG-1", "quantity": -Infinity}', JSON),
    "fraction": (b'{"sku": "MUG-1", "quantity": 1.5}', JSON),
    "text for a number": (b'{"sku": "MUG-1", "quantity": "1"}', JSON),
    "truth for a number": (b'{"sku": "MUG-1", "quantity": true}', JSON),
    "two equal keys": (b'{"sku": "MUG-1", "sku": "MUG-2", "quantity": 1}', JSON),
    "two equal keys deep inside": (b'{"sku": "MUG-1", "quantity": {"a": 1, "a": 2}}', JSON),
    "unknown key": (b'{"sku": "MUG-1", "quantity": 1, "password": "hunter2-sentinel"}', JSON),
    "list": (b"[]", JSON),
    "null": (b"null", JSON),
    "nothing": (b"", JSON),
    "SQL": (b'{"sku": "\'; DROP TABLE orders; --", "quantity": 1}', JSON),
}


def assert_refused(response: httpx.Response, logged: str) -> None:
    assert 400 <= response.status_code < 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    assert SECRET not in response.text
    assert SECRET not in logged
    assert "unhandled error" not in logged


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str], name: str) -> None:
    content, kind = BODIES[name]
    async with serve(create_app(valid_settings())) as client:
        headers = {**signed_in(valid_settings()), **({"Content-Type": kind} if kind else {})}
        response = await client.post("/v1/orders", content=content, headers=headers)
    assert_refused(response, capsys.readouterr().out)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/orders/%00",
        "/v1/orders/%ff%fe",
        f"/v1/orders/{SECRET}",
        "/v1/orders/..%2f..%2fetc%2fpasswd",
        "/v1/orders?limit=99999999999999999999",
        f"/v1/orders?limit={'9' * 5000}",
        "/v1/orders?limit=%00",
        "/v1/orders?after=%ff",
        f"/v1/orders?after={SECRET}",
        "/v1/orders?after=' OR 1=1 --",
    ],
)
async def test_a_bad_address_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str], target: str) -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get(target, headers=signed_in(valid_settings()))
    assert_refused(response, capsys.readouterr().out)


@pytest.mark.parametrize(
    "body",
    ["{}", '{"a": {"a": 1}}', '[{"a": 1}, {"a": 2}]', '"\\u0000"', "1e5", "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH],
)
def test_json_that_means_one_thing_passes(body: str) -> None:
    assert problem_of(body.encode()) is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[1", "want JSON in UTF-8"),
        ("NaN", "want numbers that JSON has, not NaN or Infinity"),
        ("[-Infinity]", "want numbers that JSON has, not NaN or Infinity"),
        ('{"a": 1, "a": 1}', "want each key of an object once"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "want at most 32 levels of nesting"),
    ],
)
def test_json_that_could_mean_two_things_is_named(body: str, problem: str) -> None:
    assert problem_of(body.encode()) == problem


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-8-sig"])
def test_json_is_utf_8_without_a_mark(encoding: str) -> None:
    assert problem_of(COMPLETE.encode()) is None
    assert problem_of(COMPLETE.encode(encoding)) == "want JSON in UTF-8"


async def test_a_json_body_arrives_as_it_was_sent() -> None:
    body: dict[str, object] = {"text": "ä\u0000€", "list": [1, 2.5, None, True], "object": {"a": {}}}
    async with serve(edge_app(valid_settings())) as client:
        for kind in ("application/json", "application/merge-patch+json", "Application/JSON; charset=utf-8"):
            response = await client.post("/v1/edge/echo", content=json.dumps(body), headers={"Content-Type": kind})
            assert response.json() == body


@pytest.mark.services
async def test_text_that_postgres_cannot_store_is_the_client_s_mistake(database_url: str) -> None:
    app = create_app(valid_settings(database_url=database_url))

    @app.get("/v1/text")
    async def store(value: str, session: Session) -> str:  # pyright: ignore[reportUnusedFunction]
        return (await session.execute(text("SELECT CAST(:value AS text)"), {"value": value})).scalar_one()

    async with serve(app) as client:
        assert (await client.get("/v1/text?value=a%00b")).status_code == 422
        inert = "'; DROP TABLE orders; -- \\ %s $1"
        assert (await client.get("/v1/text", params={"value": inert})).json() == inert
