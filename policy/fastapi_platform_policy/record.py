"""One resource of a program, as plain data.

Owns the shape that everything which judges, budgets or reports reads, and the difference between a value, a secret, an
unknown and an absent one. Deliberately depends on nothing and never says where it came from: a recorded program, a
preview of the engine, or an exported state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias


class Marker(Enum):
    """What stands in a record where there is no value to show."""

    SECRET = "[secret]"
    """A value that must not be shown; whether it is known does not matter."""
    UNKNOWN = "[unknown]"
    """A value that only the deployment will decide."""
    ABSENT = "[absent]"
    """Nothing was said; the cloud's own default applies."""


Value: TypeAlias = "bool | int | float | str | Marker | Sequence[Value] | Mapping[str, Value] | None"
"""A JSON-like value whose leaves may be markers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How the engine was told to treat a resource."""

    additional_secret_outputs: tuple[str, ...] = ()
    create_timeout_seconds: float | None = None
    delete_before_replace: bool | None = None
    """None where the source does not say: an exported state keeps no such option."""
    deleted_with: str = ""
    """URN, or empty."""
    ignore_changes: tuple[str, ...] = ()
    import_id: str = ""
    replace_on_changes: tuple[str, ...] | None = None
    """None where the source does not say."""
    retain_on_delete: bool = False
    update_timeout_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One resource. Records of a program are kept sorted by URN."""

    urn: str
    type: str
    """Type token, e.g. `kubernetes:apps/v1:Deployment`."""
    name: str
    """Logical name."""
    custom: bool = True
    """Whether a provider manages it; false for components and the stack itself."""
    aliases: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    """URNs of all that must exist first, sorted."""
    inputs: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    """By property name as the provider spells it."""
    options: Options = Options()
    parent: str = ""
    """URN, or empty for the stack itself."""
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """URNs by input property."""
    protect: bool = False
    """Whether the engine refuses to delete it."""
    provider: str = ""
    """URN of the provider that was named for it; empty for the default one."""

    def at(self, *path: str | int) -> Value:
        """The input at a path; see `at`."""
        return at(self.inputs, *path)


def at(value: Value, *path: str | int) -> Value:
    """What stands at a path below a value.

    Returns:
        The value; `ABSENT` when some step leads nowhere; `UNKNOWN` or `SECRET` when a step is not known or not shown.
    """
    for step in path:
        if isinstance(value, Marker):
            return value
        value = _step(value, step)
    return Marker.ABSENT if value is None else value


def differs(value: Value, *accepted: Value) -> bool:
    """Whether a value is certainly none of the accepted ones; what is not known may be any."""
    return value is not Marker.UNKNOWN and value not in accepted


def unknown_paths(value: Value) -> list[str]:
    """Dotted paths of everything in a value that is not known yet; empty text for the value itself."""
    return [path for path, marker in markers(value) if marker is Marker.UNKNOWN]


def items(value: Value) -> Sequence[Value]:
    """The elements of a list; empty for anything else."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def text(value: Value) -> str:
    """A string value; empty for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: Value) -> Mapping[str, Value]:
    """A mapping value; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def plain(value: Value) -> Any:
    """A value as JSON-compatible data: markers as text, mappings in the order of their keys."""
    if isinstance(value, Marker):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(child) for key, child in sorted(value.items())}
    return value if isinstance(value, str) or not isinstance(value, Sequence) else [plain(child) for child in value]


def markers(value: Value, path: str = "") -> list[tuple[str, Marker]]:
    """Dotted paths of the secret and unknown leaves of a value, in order."""
    if isinstance(value, Marker):
        return [(path, value)]
    if isinstance(value, Mapping):
        return [found for key, child in value.items() for found in markers(child, f"{path}.{key}" if path else key)]
    return [found for index, child in enumerate(items(value)) for found in markers(child, f"{path}[{index}]")]


def _step(value: Value, step: str | int) -> Value:
    if isinstance(step, int):
        elements = items(value)
        return elements[step] if 0 <= step < len(elements) else Marker.ABSENT
    return mapping(value).get(step, Marker.ABSENT)
