"""Strict JSON schemas from the OpenAPI description that Kubernetes ships.

    python schemas.py SWAGGER.json FOLDER

Owns the conversion for kubeconform: one file a kind, definitions beside them, every object closed, so that a misspelled
field is an error. Needs nothing but the standard library: it runs before any environment exists.
Source: https://github.com/kubernetes/kubernetes/blob/master/api/openapi-spec/swagger.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

Schema = dict[str, Any]
DROPPED = ("description", "default")
FORMATS = ("int32", "int64", "double", "byte")
"""Formats that validators do not know, or that say less than the type beside them."""
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def strict(schema: Any) -> Any:
    """A part of the description as a closed schema."""
    if isinstance(schema, list):
        return [strict(each) for each in cast("list[Any]", schema)]
    return _closed(cast("Schema", schema)) if isinstance(schema, dict) else schema


def _closed(schema: Schema) -> Schema:
    if isinstance(schema.get("$ref"), str):
        return {"$ref": f"_definitions.json{schema['$ref']}"}
    if schema.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    kept = {key: value for key, value in schema.items() if key not in DROPPED and not key.startswith("x-kubernetes")}
    made = {key: _properties(value) if key == "properties" else strict(value) for key, value in kept.items()}
    if made.get("format") in FORMATS:
        del made["format"]
    if made.get("properties"):
        made.setdefault("additionalProperties", False)
    return made


def _properties(properties: Schema) -> Schema:
    """Properties are named by users of the schema: none of these names is a keyword."""
    return {name: strict(value) for name, value in properties.items()}


def kinds(description: Schema, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    """File name and schema of every kind that can stand in a manifest."""
    for name, definition in description.items():
        versions = definition.get("x-kubernetes-group-version-kind", [])
        if len(versions) != 1 or "apiVersion" not in definition.get("properties", {}):
            continue
        group, version, kind = (versions[0][key] for key in ("group", "version", "kind"))
        schema = dict(definitions[name])
        api_version = f"{group}/{version}" if group else version
        schema["properties"] = {
            **schema["properties"], "apiVersion": {"enum": [api_version]}, "kind": {"enum": [kind]},
        }
        schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind"})
        short = f"{group.split('.')[0]}-" if group else ""
        yield f"{kind.lower()}-{short}{version}.json", schema


def main(source: Path, folder: Path) -> None:
    """Write the schemas of one Kubernetes version."""
    description = json.loads(source.read_text())["definitions"]
    definitions = {name: strict(definition) for name, definition in description.items()}
    definitions[QUANTITY] = {"type": ["string", "number"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_definitions.json").write_text(json.dumps({"definitions": definitions}))
    for file, schema in kinds(description, definitions):
        (folder / file).write_text(json.dumps(schema))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
