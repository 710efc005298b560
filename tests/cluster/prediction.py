"""What was predicted against what a cluster holds: every field that we set is there, as we set it.

Owns the comparison. Deliberately one-sided: what the API server adds to an object is its own. Values of Secrets are not
compared, because a prediction has none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from fastapi_platform.planning import quantities
from tests.cluster.kubectl import Object

Key = tuple[str, str]


def key(each: Object) -> Key:
    """Return kind and name."""
    return each["kind"], each["metadata"]["name"]


def differences(predicted: Any, held: Any, path: str = "") -> Iterator[str]:
    """Tell each field that is not there, or is otherwise."""
    if isinstance(predicted, Mapping) and isinstance(held, Mapping):
        held_fields = cast("Mapping[str, Any]", held)
        for name, value in cast("Mapping[str, Any]", predicted).items():
            if name != "stringData":
                yield from differences(value, held_fields.get(name), f"{path}.{name}")
    elif isinstance(predicted, list) and isinstance(held, list):
        yield from _of_lists(cast("list[Any]", predicted), cast("list[Any]", held), path)
    elif predicted != held and not _same_quantity(predicted, held):
        yield f"{path}: predicted {predicted!r}, held {held!r}"


def _of_lists(predicted: Sequence[Any], held: Sequence[Any], path: str) -> Iterator[str]:
    if len(predicted) != len(held):
        yield f"{path}: predicted {len(predicted)} entries, held {len(held)}"
    for number, (one, other) in enumerate(zip(predicted, held, strict=False)):
        yield from differences(one, other, f"{path}[{number}]")


def _same_quantity(one: Any, other: Any) -> bool:
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    value = quantities.parse(one)
    return value is not None and value == quantities.parse(other)
