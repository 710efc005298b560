"""Every value that a client may send has bounds: read from the API description, so that no route is left out."""

from collections.abc import Iterator
from typing import Any

import pytest

from app import openapi
from app.main import create_app
from tests.support import valid_settings

pytestmark = pytest.mark.control("strict-input-validation")

FIXED_FORMATS = {"binary", "date", "date-time", "uuid"}
"""Strings that their format bounds; of a file, the size of the body."""
FORMS = {"multipart/form-data", "application/x-www-form-urlencoded"}
"""FastAPI writes the schemas of their bodies, which cannot say that other fields are refused."""


def unbounded(document: dict[str, Any]) -> list[str]:
    """Return the place of every input without bounds."""
    found: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", ()):
                found += _problems(f"{where} {parameter['name']}", parameter["schema"], document)
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                found += _problems(f"{where} body", content["schema"], document, form=media_type in FORMS)
    return found


def _problems(where: str, schema: dict[str, Any], document: dict[str, Any], *, form: bool = False) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _problems(where, each, document)
    if "enum" not in schema and "const" not in schema and not _is_bounded(schema, form=form):
        yield f"{where}: {schema}"
    for name, each in schema.get("properties", {}).items():
        yield from _problems(f"{where}.{name}", each, document)
    if "items" in schema:
        yield from _problems(f"{where}[]", schema["items"], document)


def _is_bounded(schema: dict[str, Any], *, form: bool) -> bool:
    match schema.get("type"):
        case "string":
            return "maxLength" in schema or schema.get("format") in FIXED_FORMATS or "contentMediaType" in schema
        case "integer" | "number":
            return bool({"minimum", "exclusiveMinimum"} & set(schema)) and bool(
                {"maximum", "exclusiveMaximum"} & set(schema)
            )
        case "array":
            return "maxItems" in schema
        case "object":
            return form or schema.get("additionalProperties") is False
        case "boolean" | "null":
            return True
        case _:
            return bool({"anyOf", "oneOf", "allOf"} & set(schema))


def test_every_input_has_bounds_and_refuses_what_it_does_not_know() -> None:
    assert unbounded(create_app(valid_settings()).openapi()) == []
    assert '"requestBody"' in openapi.document()


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "string", "pattern": "^a$"},
        {"type": "integer", "minimum": 1},
        {"type": "number", "maximum": 1},
        {"type": "array", "items": {"type": "boolean"}},
        {"type": "array", "maxItems": 2, "items": {"type": "string"}},
        {"type": "object", "properties": {}},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"$ref": "#/components/schemas/Loose"},
    ],
)
def test_what_has_no_bounds_is_found(schema: dict[str, Any]) -> None:
    operation = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    document = {"paths": {"/": {"post": operation}}, "components": {"schemas": {"Loose": {"type": "object"}}}}
    assert len(unbounded(document)) == 1
