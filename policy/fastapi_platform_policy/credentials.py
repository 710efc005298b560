"""Credentials that stand in clear where they should not: found by the rules, hidden by every report.

Owns where to look: variables, settings by key, words of a command. Deliberately decides nothing about a name or a text
by itself; that guess is `planning.secrecy`'s, so that what a rule calls a credential is never printed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from fastapi_platform.planning import secrecy

from .program import Program
from .record import Marker, Record, Value, mapping
from .workloads import kubernetes_kind

_NAME = re.compile(r"(?<![\w-])(-{0,2})([A-Za-z_][\w-]*)")
_VALUE = r"""(?!["']?\$)(?P<value>"[^"]*"|'[^']*'|\S+)"""
"""Not a reference that something else fills in, such as `$(API_TOKEN)`."""
_ASSIGNED = re.compile(f"={_VALUE}")
_GIVEN = re.compile(rf"(?:=|\s+(?!-)){_VALUE}")
_FLAG = re.compile(r"--?([A-Za-z_][\w-]*)")
_WORD = re.compile(r"(--?([A-Za-z_][\w-]*)=)[^$].*", re.DOTALL)
"""One word of a command: the value of its flag goes to its end."""


def hidden(value: Value) -> Value:
    """The value with `SECRET` in place of whatever looks like a credential, by its name or by its shape."""
    if isinstance(value, str):
        shown = hidden_text(value)
        return Marker.SECRET if shown == secrecy.REDACTED else shown
    if isinstance(value, Mapping):
        return _fields(value)
    if isinstance(value, Sequence):
        return [_element(value, position) for position in range(len(value))]
    return value


@lru_cache(maxsize=10_000)
def hidden_text(text: str) -> str:
    """The text with `[secret]` in place of values that are assigned to, or follow a flag of, a credential's name."""
    if secrecy.value_looks_secret(text):
        return secrecy.REDACTED
    parts, done = list[str](), 0
    for name in _NAME.finditer(text):
        if name.start() < done or not _secret_flag(name[2]):
            continue
        given = (_GIVEN if name[1] else _ASSIGNED).match(text, name.end())
        if given is not None:
            parts += [text[done : given.start("value")], secrecy.REDACTED]
            done = given.end()
    return "".join([*parts, text[done:]])


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
    return isinstance(value, str) and bool(value) and _secret_flag(name)


def _element(elements: Sequence[Value], position: int) -> Value:
    """An element, which may be a word of a command: a flag's value, or an assignment."""
    value = elements[position]
    if not isinstance(value, str) or not value:
        return hidden(value)
    flag = elements[position - 1] if position else None
    before = _FLAG.fullmatch(flag) if isinstance(flag, str) else None
    if before and _secret_flag(before[1]) and not value.startswith("$"):
        return Marker.SECRET
    word = _WORD.fullmatch(value)
    return f"{word[1]}{secrecy.REDACTED}" if word and _secret_flag(word[2]) else hidden(value)


@lru_cache(maxsize=10_000)
def _secret_flag(name: str) -> bool:
    return secrecy.name_looks_secret(name.replace("-", "_"))
