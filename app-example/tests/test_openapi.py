"""The API description as a document: what a release publishes, and what it may not break."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app import openapi
from app.main import create_app
from development.openapi_changes import breaking_changes
from tests.support import ROOT, production_settings, serve

UPDATE = "to update it: uv run python -m app.openapi openapi.json"
RELEASE = "either keep the released version as it is, or add a new one beside it"
OPERATION: dict[str, Any] = {
    "parameters": [
        {
            "in": "query",
            "name": "limit",
            "required": False,
            "schema": {"anyOf": [{"type": "integer", "maximum": 100}, {"type": "null"}]},
        }
    ],
    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sent"}}}},
    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Received"}}}}},
}
RELEASED: dict[str, Any] = {
    "paths": {"/v1/things": {"get": OPERATION}},
    "components": {
        "schemas": {
            "Sent": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["a", "b"]}},
                "required": ["name"],
            },
            "Received": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["id"],
            },
        }
    },
}


@pytest.mark.control("docs-disabled-in-production")
@pytest.mark.parametrize(("environment", "status"), [("local", 200), ("development", 200), ("production", 404)])
@pytest.mark.parametrize("path", ["/docs", "/docs.js", "/openapi.json"])
async def test_docs_are_served_outside_production_only(environment: str, status: int, path: str) -> None:
    async with serve(create_app(production_settings(environment=environment))) as client:
        assert (await client.get(path)).status_code == status


@pytest.mark.control("docs-disabled-in-production")
@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
async def test_the_framework_s_own_pages_are_served_nowhere(path: str) -> None:
    async with serve(create_app(production_settings(environment="local"))) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.control("docs-disabled-in-production")
def test_the_document_of_the_repository_is_that_of_the_code() -> None:
    assert (ROOT / "openapi.json").read_text(encoding="utf-8") == openapi.document(), UPDATE


@pytest.mark.control("docs-disabled-in-production")
@pytest.mark.processes
def test_the_command_writes_the_same_bytes_in_any_environment() -> None:
    environment = {"ENVIRONMENT": "nowhere", "SERVICE_NAME": "other", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-m", "app.openapi"]
    ended = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env=environment, timeout=60)
    assert ended.stdout.decode() == openapi.document()
    assert ended.stderr == b""


def test_the_command_takes_one_file() -> None:
    assert openapi.main(["a.json", "b.json"]) == 2


@pytest.mark.control("api-versioning")
def test_the_released_version_is_kept() -> None:
    released = json.loads((ROOT / "openapi.released.json").read_text(encoding="utf-8"))
    assert breaking_changes(released, json.loads(openapi.document())) == [], RELEASE


def _schema(name: str, document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"][name]


def _operation(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"]["/v1/things"]["get"]


BREAKING: dict[str, Callable[[dict[str, Any]], object]] = {
    "GET /v1/things: removed": lambda document: document["paths"].clear(),
    "GET /v1/things: query limit removed": lambda document: _operation(document)["parameters"].clear(),
    "GET /v1/things: query limit is required now": lambda document: _operation(document)["parameters"][0].update(
        required=True
    ),
    "GET /v1/things: query limit: null not taken any more": lambda document: _operation(document)["parameters"][0][
        "schema"
    ]["anyOf"].pop(),
    "GET /v1/things: query limit: maximum 50, was 100": lambda document: _operation(document)["parameters"][0][
        "schema"
    ]["anyOf"][0].update(maximum=50),
    "GET /v1/things: body is required now": lambda document: _operation(document)["requestBody"].update(required=True),
    "GET /v1/things: body is not application/json any more": lambda document: _operation(document)["requestBody"][
        "content"
    ].clear(),
    "GET /v1/things: body.kind: required now": lambda document: _schema("Sent", document)["required"].append("kind"),
    "GET /v1/things: body.kind: removed": lambda document: _schema("Sent", document)["properties"].pop("kind"),
    "GET /v1/things: body.kind: other values than before": lambda document: _schema("Sent", document)["properties"][
        "kind"
    ]["enum"].pop(),
    "GET /v1/things: body.name: maxLength 5, was None": lambda document: _schema("Sent", document)["properties"][
        "name"
    ].update(maxLength=5),
    "GET /v1/things: body.name: other pattern": lambda document: _schema("Sent", document)["properties"]["name"].update(
        pattern="^a"
    ),
    "GET /v1/things: 200 removed": lambda document: _operation(document)["responses"].clear(),
    "GET /v1/things: 200.tags: removed": lambda document: _schema("Received", document)["properties"].pop("tags"),
    "GET /v1/things: 200.id: may be missing now": lambda document: _schema("Received", document)["required"].clear(),
    "GET /v1/things: 200.id: string may come now": lambda document: _schema("Received", document)["properties"].update(
        id={"anyOf": [{"type": "integer"}, {"type": "string"}]}
    ),
    "GET /v1/things: 200.tags[]: integer may come now": lambda document: _schema("Received", document)["properties"][
        "tags"
    ]["items"].update(type="integer"),
}


@pytest.mark.control("api-versioning")
@pytest.mark.parametrize("change", BREAKING)
def test_a_change_that_breaks_clients_is_found(change: str) -> None:
    current = copy.deepcopy(RELEASED)
    BREAKING[change](current)
    assert breaking_changes(RELEASED, current) == [change]


@pytest.mark.control("api-versioning")
def test_what_only_adds_breaks_nobody() -> None:
    current = copy.deepcopy(RELEASED)
    current["paths"]["/v2/things"] = current["paths"]["/v1/things"]
    _operation(current)["parameters"].append({"in": "query", "name": "after", "schema": {"type": "string"}})
    _operation(current)["parameters"][0]["schema"]["anyOf"][0].update(maximum=200)
    _schema("Sent", current)["properties"]["note"] = {"type": "string", "maxLength": 5}
    _schema("Received", current)["properties"]["note"] = {"type": "string"}
    assert breaking_changes(RELEASED, current) == []
