"""Records from the three documents that describe a program's resources.

Owns the decoding of the engine's resource states: a recording, `pulumi preview --json`, and `pulumi stack export` all
hold them. Deliberately keeps no secret: a secret becomes a marker here, whether or not its value came along.
Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/core.go (ResourceV3)
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from .record import Marker, Options, Record, Value

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key that marks a special value on the wire."""
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWNS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string, and whatever the SDK does not know the type of
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
"""What stands on the wire in place of an unknown value."""
STACK_TYPE = "pulumi:pulumi:Stack"
State: TypeAlias = Mapping[str, Any]
"""A resource state in the engine's spelling."""


def from_states(states: Iterable[State]) -> tuple[Record, ...]:
    """Records of resource states, sorted by URN; the stack itself is left out.

    Args:
        states: Resource states as the engine writes them.
    """
    records = (_record(state) for state in states if state.get("type") != STACK_TYPE)
    return tuple(sorted(records, key=lambda record: record.urn))


def from_export(document: Mapping[str, Any]) -> tuple[Record, ...]:
    """Records of `pulumi stack export`: what has been deployed; what only waits for its deletion is left out."""
    states: Iterable[State] = document["deployment"].get("resources") or ()
    return from_states(state for state in states if not state.get("delete"))


def from_preview(document: Mapping[str, Any]) -> tuple[Record, ...]:
    """Records of `pulumi preview --json`: what would exist after the next `up`."""
    states = (step.get("newState") for step in document.get("steps") or ())
    return from_states(state for state in states if state is not None)


def decode(value: object) -> Value:
    """A wire value as plain data with markers."""
    if isinstance(value, dict):
        return _decode_mapping(cast("dict[str, object]", value))
    if isinstance(value, list):
        return [decode(element) for element in cast("list[object]", value)]
    if isinstance(value, str):
        if value == Marker.SECRET.value:
            return Marker.SECRET
        return Marker.UNKNOWN if value in UNKNOWNS else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return cast("Value", value)


def _decode_mapping(value: Mapping[str, object]) -> Value:
    signature = value.get(SIGNATURE)
    if signature == SECRET_SIGNATURE or (signature == OUTPUT_SIGNATURE and value.get("secret")):
        return Marker.SECRET
    if signature == OUTPUT_SIGNATURE:
        return decode(value["value"]) if "value" in value else Marker.UNKNOWN
    return {key: decode(child) for key, child in value.items() if key != SIGNATURE}


def _record(state: State) -> Record:
    urn: str = state["urn"]
    return Record(
        urn=urn,
        type=state["type"],
        name=urn.rpartition("::")[2],
        custom=bool(state.get("custom")),
        aliases=_texts(state, "aliases"),
        dependencies=tuple(sorted(_texts(state, "dependencies"))),
        inputs={key: decode(value) for key, value in _mapping(state, "inputs").items()},
        options=_options(state),
        parent=state.get("parent") or "",
        property_dependencies={
            key: tuple(sorted(urns or [])) for key, urns in _mapping(state, "propertyDependencies").items()
        },
        protect=bool(state.get("protect")),
        provider=(state.get("provider") or "").rpartition("::")[0],
    )


def _options(state: State) -> Options:
    timeouts = _mapping(state, "customTimeouts")
    return Options(
        additional_secret_outputs=_texts(state, "additionalSecretOutputs"),
        create_timeout_seconds=timeouts.get("create") or None,
        delete_before_replace=state.get("deleteBeforeReplace"),
        deleted_with=state.get("deletedWith") or "",
        ignore_changes=_texts(state, "ignoreChanges"),
        import_id=state.get("importID") or "",
        replace_on_changes=_texts(state, "replaceOnChanges") if "replaceOnChanges" in state else None,
        retain_on_delete=bool(state.get("retainOnDelete")),
        update_timeout_seconds=timeouts.get("update") or None,
    )


def _mapping(state: State, key: str) -> dict[str, Any]:
    return state.get(key) or {}


def _texts(state: State, key: str) -> tuple[str, ...]:
    return tuple(state.get(key) or ())
