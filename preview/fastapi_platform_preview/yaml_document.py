"""YAML as the engine reads it.

Owns the differences to PyYAML's default: `on` and `yes` are text, `1:30` is text, a key that stands twice is an error.
Deliberately keeps the fast C parser.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from pathlib import Path
from typing import Any, cast

import yaml

from .errors import refuse

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(Loader):
    """YAML 1.2's core types, and no key twice."""

    construct_object: Any

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for position, key in enumerate(keys) if key in keys[:position]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} stands twice in one mapping", node.start_mark
            )
        mapping: dict[Any, Any] = Loader.construct_mapping(self, node, deep)
        return mapping


_CORE_TYPES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}
_CoreLoader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _CORE_TYPES.items():
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), _first)


def as_mapping(value: object) -> dict[str, Any] | None:
    """The value when it is a mapping."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    """The value when it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; empty for an empty file.

    Raises:
        UsageError: when the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        document = yaml.load(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), _CoreLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    except yaml.YAMLError as error:
        raise _unreadable(path, _first_problem(error)) from error
    if document is None:
        return {}
    mapping = as_mapping(document)
    if mapping is None:
        raise _unreadable(path, f"a {type(document).__name__}")
    return mapping


def _unreadable(path: Path, got: str) -> Exception:
    return refuse(
        path.name, "", got=got, want="a mapping in YAML", why="the engine could not read the file either",
        fix=f"Correct {path}.",
    )


def _first_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} (line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1})"
    return str(error)
