"""What pydantic found wrong with a stack file, as the platform says it.

Owns the wording for the shape of the file: unknown keys, missing keys, wrong types. Deliberately says nothing about
values, which the components refuse in their own words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import tree
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from tree import MISSING, Path

from fastapi_platform.planning import secrecy
from fastapi_platform.planning.errors import PlatformError, Problem, shown

CONTAINERS = ("dataclass", "dict", "list", "mapping", "model", "tuple")
"""What pydantic calls the types that hold other values."""
PRIVATE = frozenset({"args", "command", "env", "secrets"})
"""Settings whose values may be credentials, whatever they look like: only their type is said."""
_NAME = re.compile(r"[a-z0-9-]{1,40}")
TYPE_NAMES = {
    "bool": "true or false", "int": "a whole number", "string": "text", "float": "a number", "tuple": "a list",
    "list": "a list", "dict": "a mapping", "mapping": "a mapping", "model": "a mapping", "dataclass": "a mapping",
}


def translate(error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Every error of a document, in the order of the model.

    Args:
        error: What pydantic raised.
        model: The model that was validated; says which keys are known.
        raw: The document, to tell a mapping's keys from the tags that pydantic puts into its paths.
    """
    schema = model.model_json_schema()
    return tuple(problem for details in error.errors() for problem in _problems(details, schema, raw))


def truths(raw: Mapping[str, Any], model: type[BaseModel]) -> tuple[Path, ...]:
    """Where a truth value stands in place of a number: Python counts `true` as 1, and so does pydantic."""
    schema = model.model_json_schema()
    return tuple(_truths(schema, schema, raw, ()))


def no_number(path: Path) -> Problem:
    """The refusal of such a value."""
    return Problem(
        "", _dotted(path), "true or false", "a whole number", "the setting is a number",
        f"Correct {_dotted(path)} in the stack file.",
    )


def _truths(schema: dict[str, Any], node: dict[str, Any], value: object, path: Path) -> Iterator[Path]:
    here = _resolve(schema, node, value)
    if isinstance(value, bool):
        if "integer" in {option.get("type") for option in (here, *here.get("anyOf", ()))}:
            yield path
        return
    children = tree.mapping(value) or dict(enumerate(tree.sequence(value) or []))
    for key, child in children.items():
        yield from _truths(schema, _below(here, key), child, (*path, key))


def refusals(error: ValidationError, raw: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Of the errors of a document, the values that a component refused."""
    return tuple(
        problem
        for details in error.errors()
        if isinstance(cause := details.get("ctx", {}).get("error"), PlatformError)
        for problem in _moved(cause, _path(details["loc"], raw))
    )


def paths(error: ValidationError, raw: Mapping[str, Any]) -> tuple[Path, ...]:
    """Where the errors are, as keys and indices into the document."""
    return tuple(_path(details["loc"], raw) for details in error.errors())


def _problems(details: ErrorDetails, schema: dict[str, Any], raw: Mapping[str, Any]) -> Iterator[Problem]:
    path = _path(details["loc"], raw)
    owner, field = _dotted(path[:-1]), str(path[-1]) if path else ""
    if path and isinstance(path[-1], int):
        owner, field = "", _dotted(path)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, PlatformError):
        yield from _moved(cause, path)
        return
    match details["type"]:
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            yield Problem(owner, field, "nothing", "a value", "there is no safe default for it", _add(path))
        case "extra_forbidden" | "unexpected_keyword_argument":
            yield _unknown_key(owner, field, _known_keys(schema, path[:-1], raw))
        case "union_tag_not_found" | "union_tag_invalid":
            yield _unknown_kind(details, path)
        case _:
            yield Problem(
                owner, field, _got(path, details), _wanted(details), "the setting has another type",
                f"Correct {_dotted(path)} in the stack file.",
            )


def _moved(error: PlatformError, path: Path) -> Iterator[Problem]:
    return (problem.under(_dotted(path)) for problem in error.problems)


def _unknown_key(owner: str, key: str, known: Sequence[str]) -> Problem:
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    fix = f"Did you mean {near[0]}?" if near else "Remove it, or move it to the section it belongs to."
    return Problem(
        owner, shown(key), "an unknown key", f"one of {', '.join(known)}", "a key that nobody reads changes nothing",
        fix,
    )


def _unknown_kind(details: ErrorDetails, path: Path) -> Problem:
    context = details.get("ctx", {})
    got = shown(str(context.get("tag", "nothing")))
    kinds = str(context.get("expected_tags", "")).replace("'", "") or "a known kind"
    return Problem(
        _dotted(path), "kind", got, kinds if "," not in kinds else f"one of {kinds}",
        "the kind decides which other keys there are", f"Set {_dotted(path)}.kind.",
    )


def _wanted(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] in ("enum", "literal_error"):
        return f"one of {str(context['expected']).replace(chr(39), '')}"
    kind = details["type"].partition("_")[0]
    return TYPE_NAMES.get(kind, details["msg"].removeprefix("Input should be "))


def _got(path: Path, details: ErrorDetails) -> str:
    """The refused value; only its type where it may be, or hold, a credential in the wrong place."""
    value: Any = details["input"]
    if tree.mapping(value) is not None or tree.sequence(value) is not None or PRIVATE.intersection(path):
        return _kind(value)
    if path and secrecy.name_looks_secret(str(path[-1])):
        return secrecy.REDACTED
    instead_of_many = isinstance(value, str) and details["type"].partition("_")[0] in CONTAINERS
    return _kind(value) if instead_of_many and not _NAME.fullmatch(value) else shown(value)


def _kind(value: object) -> str:
    fields, elements = tree.mapping(value), tree.sequence(value)
    if fields is not None:
        return f"a mapping of {len(fields)}"
    if elements is not None:
        return f"a list of {len(elements)}"
    if isinstance(value, bool | int | float):
        return "true or false" if isinstance(value, bool) else "a number"
    return "nothing" if value is None else "text"


def _add(path: Path) -> str:
    return f"Add it: pulumi config set --path '{_dotted(path)}' <value>"


def _path(loc: Sequence[int | str], raw: Mapping[str, Any]) -> Path:
    """The keys of a pydantic location that exist in the document, without the tags of unions in between."""
    path: list[int | str] = []
    here: Any = raw
    for key in loc:
        below = tree.child(here, key)
        is_tag = below is MISSING and tree.child(here, "kind") == key
        if not is_tag:
            path.append(key)
            here = below
    return tuple(path)


def _dotted(path: Path) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _known_keys(schema: dict[str, Any], path: Path, raw: Mapping[str, Any]) -> list[str]:
    """Keys that the schema knows at a path; of a union, those of the kind that the document chose."""
    node: dict[str, Any] = schema
    here: Any = raw
    for key in path:
        here = tree.child(here, key)
        node = _resolve(schema, _below(node, key), here)
    return sorted(node.get("properties", {}))


def _below(node: dict[str, Any], key: int | str) -> dict[str, Any]:
    if isinstance(key, int):
        return node.get("items", {})
    return node.get("properties", {}).get(key) or node.get("additionalProperties") or {}


def _resolve(schema: dict[str, Any], node: dict[str, Any], here: object) -> dict[str, Any]:
    if "discriminator" in node:
        node = {"$ref": node["discriminator"]["mapping"].get(str(tree.child(here, "kind")), "")}
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            node = option
    reference: str = node.get("$ref", "")
    return schema.get("$defs", {}).get(reference.rpartition("/")[2], node) if reference else node
