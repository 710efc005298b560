"""Walking a parsed document of mappings, lists and scalars.

Owns the steps. Deliberately knows no model: what a key means is in `document.py`.
"""

from enum import Enum
from itertools import takewhile
from typing import Any, Final, TypeAlias, cast

Path: TypeAlias = tuple[int | str, ...]
"""Keys and indices from the top of a document."""


class Missing(Enum):
    """What a step finds where there is nothing."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def mapping(value: object) -> dict[str, Any] | None:
    """The value when it is a mapping."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def sequence(value: object) -> list[Any] | None:
    """The value when it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def child(value: object, key: int | str) -> Any:
    """What a key or an index of a value leads to, or `MISSING`."""
    if isinstance(key, str):
        return (mapping(value) or {}).get(key, MISSING)
    elements = sequence(value) or []
    return elements[key] if key < len(elements) else MISSING


def existing(document: object, path: Path) -> Path:
    """The part of a path that leads to something: all of it, or as far as the first key that is not there."""
    here: Any = document
    for depth, key in enumerate(path):
        here = child(here, key)
        if here is MISSING:
            return path[:depth]
    return path


def remove(document: dict[str, Any], path: Path) -> None:
    """Take out what a path leads to; of a list, the whole list, because an element's place has a meaning."""
    keys = list(takewhile(lambda key: isinstance(key, str), path))
    parent: Any = document
    for key in keys[:-1]:
        parent = child(parent, key)
    holder = mapping(parent)
    if holder is not None and keys:
        holder.pop(str(keys[-1]), None)
