"""SQL in every text that a client may send: read from the API description, so that no field is left out."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from app.auth.tokens import Role
from app.main import create_app
from app.rate_limits import get_rate_limits
from app.settings import Settings
from tests.auth.support import NoLimits, register, sign_in
from tests.support import execute, insert_products, serve, signed_in, valid_settings
from tests.test_attachments import PNG, TENANT, insert_order

pytestmark = [pytest.mark.services, pytest.mark.control("strict-input-validation")]

SQL = ("'; DROP TABLE orders; --", "' OR '1'='1", "\\'; DELETE FROM users; --", "%(x)s :value $1 {0} %s", "')) --")
ADDRESS = "o'or'1'='1@example.com"
ADDRESSES = ("o'connor@example.com", ADDRESS)
"""Browsers take them, and so does the service; the first would break a statement, the second change it."""
EXAMPLES: dict[str, Any] = {
    "email": "somebody@example.com",
    "password": "correct horse battery staple",
    "token": "x" * 40,
    "sku": "MUG-1",
    "quantity": 1,
    "name": "Mug",
    "price_cents": 1200,
    "role": "user",
    "content": "Where is my order?",
}
"""A value that is accepted for each property of a body."""
NO_TEXT = {"binary", "uuid"}


@dataclass(frozen=True)
class Place:
    """One text of one operation."""

    method: str
    path: str
    where: str
    """`body`, or where OpenAPI has the parameter."""
    name: str


def places(document: dict[str, Any]) -> Iterator[Place]:
    """Return where a client may send text of its own."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if _is_text(parameter["schema"], document):
                    yield Place(method, path, parameter["in"], parameter["name"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name in _named_texts(content["schema"], document):
                    yield Place(method, path, "body", name)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _named_texts(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for name, each in _resolved(schema, document).get("properties", {}).items():
        if _is_text(each, document):
            yield name
        yield from _named_texts(each.get("items", each), document)


def _is_text(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    schema = _resolved(schema, document)
    if any(_is_text(each, document) for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))):
        return True
    return schema.get("type") == "string" and "enum" not in schema and schema.get("format") not in NO_TEXT


def body_of(schema: dict[str, Any], document: dict[str, Any], place: Place, text: str) -> Any:
    """Return a body that is accepted, but for one text."""
    schema = _resolved(schema, document)
    if schema.get("type") == "array":
        return [body_of(schema["items"], document, place, text)]
    return {
        name: text
        if (place.where, place.name) == ("body", name)
        else EXAMPLES[name]
        if name in EXAMPLES
        else body_of(each, document, place, text)
        for name, each in schema["properties"].items()
    }


@dataclass(frozen=True)
class Shop:
    """A service with something to lose."""

    client: httpx.AsyncClient
    settings: Settings
    database_url: str
    document: dict[str, Any]

    async def send(self, place: Place, text: str) -> httpx.Response:
        """Send a text to a place; all else of the request is well."""
        headers = signed_in(self.settings, role=Role.ADMIN, tenant_id=TENANT)
        ids = {"order_id": str(uuid4()), "attachment_id": str(uuid4()), "export_id": str(uuid4()), "sku": "MUG-1"}
        filled = {name: quote(text, safe="") if name == place.name else value for name, value in ids.items()}
        path = place.path.format(**(filled if place.where == "path" else ids))
        if place.where in {"cookie", "header"}:
            headers |= {"Cookie": f"{place.name}={text}"} if place.where == "cookie" else {place.name: text}
        params = {place.name: text} if place.where == "query" else {}
        contents = self.document["paths"][place.path][place.method].get("requestBody", {}).get("content", {})
        schema = contents.get("application/json", {}).get("schema")
        body = {"json": body_of(schema, self.document, place, text)} if schema else {}
        return await self.client.request(place.method, path, params=params, headers=headers, **body)


@pytest.fixture
async def shop(database_url: str) -> AsyncGenerator[Shop]:
    await execute(database_url, insert_products("MUG-1"))
    settings = valid_settings(database_url=database_url)
    app = create_app(settings)
    app.dependency_overrides[get_rate_limits] = NoLimits
    async with serve(app) as client:
        client.base_url = "https://orders.test"
        yield Shop(client, settings, database_url, app.openapi())


async def test_sql_in_any_text_is_refused_or_a_text_like_any_other(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    await insert_order(shop.database_url, TENANT)
    found = list(places(shop.document))
    assert {"email", "password", "token", "sku", "name", "content", "after", "Idempotency-Key"} <= {
        place.name for place in found
    }
    for place in found:
        for text in (*SQL, *ADDRESSES):
            answer = await shop.send(place, text)
            assert answer.status_code < 500, (place, text, answer.text)
    assert "unhandled error" not in capsys.readouterr().out
    assert await execute(shop.database_url, "SELECT count(*) FROM orders") == [1]
    assert await execute(shop.database_url, "SELECT name FROM products WHERE sku = 'MUG-1'") == [ADDRESS]


@pytest.mark.parametrize("text", SQL)
async def test_a_name_of_a_product_is_stored_as_it_was_sent(shop: Shop, text: str) -> None:
    answer = await shop.send(Place("put", "/v1/products/{sku}", "body", "name"), text)
    assert (answer.status_code, answer.json()["name"]) == (200, text)
    assert await execute(shop.database_url, "SELECT name FROM products") == [text]


async def test_a_name_of_a_file_is_stored_as_it_was_sent(shop: Shop) -> None:
    path = f"/v1/orders/{await insert_order(shop.database_url, TENANT)}/attachments"
    headers = signed_in(shop.settings, tenant_id=TENANT)
    text = "'); DROP TABLE attachments; --.png"
    answer = await shop.client.post(path, files={"file": (text, PNG)}, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, text)
    assert await execute(shop.database_url, "SELECT name FROM attachments") == [text]


async def test_an_address_and_a_password_open_their_own_account_alone(shop: Shop) -> None:
    password = "' OR '1'='1' OR password_hash IS NOT NULL; --"
    for email in ("victim@example.com", ADDRESS):
        assert (await register(shop.client, email, password)).status_code == 202
    assert (await sign_in(shop.client, ADDRESS, password)).status_code == 200
    for email, guess in (
        (ADDRESS, "' OR '1'='1"),
        ("victim@example.com", SQL[0]),
        ("x'or'1'='1@example.com", password),
    ):
        assert (await sign_in(shop.client, email, guess)).status_code == 401
