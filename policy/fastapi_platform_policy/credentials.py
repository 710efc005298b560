"""Credentials that stand in clear where they should not: found by the rules, hidden by every report.

Owns where to look: variables, settings by key, words of a command. Deliberately decides nothing about a name, a text or
a word by itself; that guess is `planning.secrecy`'s, so that what a rule calls a credential is never printed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi_platform.planning import secrecy

from .program import Program
from .record import Marker, Record, Value, mapping
from .workloads import kubernetes_kind


def hidden(value: Value) -> Value:
    """The value with `SECRET` in place of whatever looks like a credential, by its name or by its shape."""
    if isinstance(value, str):
        shown = secrecy.hidden_text(value)
        return Marker.SECRET if shown == secrecy.REDACTED else shown
    if isinstance(value, Mapping):
        return _fields(value)
    if isinstance(value, Sequence):
        return [_element(value, position) for position in range(len(value))]
    return value


def holds_one(value: Value) -> bool:
    """Whether anything in the value looks like a credential."""
    return hidden(value) != value


def without(program: Program) -> Program:
    """The program as it may be shown: no credential in clear, and nothing of what a Kubernetes Secret holds."""
    records = tuple(_record(record) for record in program.records)
    return program if records == program.records else Program(records)


def _record(record: Record) -> Record:
    inputs = _fields(record.inputs)
    if kubernetes_kind(record) == "Secret":
        held = {key: mapping(inputs[key]) for key in ("data", "stringData") if mapping(inputs.get(key))}
        inputs |= {key: {name: _shut(child) for name, child in fields.items()} for key, fields in held.items()}
    return record if inputs == record.inputs else replace(record, inputs=inputs)


def _shut(value: Value) -> Value:
    return value if isinstance(value, Marker) else Marker.SECRET


def _fields(fields: Mapping[str, Value]) -> dict[str, Value]:
    name, value = fields.get("name"), fields.get("value")
    shown = {key: Marker.SECRET if _named(key, child) else hidden(child) for key, child in fields.items()}
    return shown | {"value": Marker.SECRET} if isinstance(name, str) and _named(name, value) else shown


def _named(name: str, value: Value) -> bool:
    return isinstance(value, str) and secrecy.is_credential(name, value)


def _element(elements: Sequence[Value], position: int) -> Value:
    """An element, which may be a word of a command."""
    value, before = elements[position], elements[position - 1] if position else ""
    if not isinstance(value, str):
        return hidden(value)
    shown = secrecy.hidden_word(before if isinstance(before, str) else "", value)
    return Marker.SECRET if shown == secrecy.REDACTED else shown
