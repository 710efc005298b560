"""Walking a parsed document of mappings, lists and scalars.

Owns the steps. Deliberately knows no model: what a key means is in `document.py`.
"""

from enum import Enum
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


def child(value: object, key: int | str) -> Any:
    """What a key or an index of a value leads to, or `MISSING`."""
    if isinstance(key, str):
        return (mapping(value) or {}).get(key, MISSING)
    elements = cast("list[Any]", value) if isinstance(value, list) else []
    return elements[key] if key < len(elements) else MISSING


def remove(document: dict[str, Any], path: Path) -> None:
    """Take out what a path leads to, when it leads somewhere below a mapping."""
    parent: Any = document
    for key in path[:-1]:
        parent = child(parent, key)
    holder = mapping(parent)
    if holder is not None and path:
        holder.pop(str(path[-1]), None)
