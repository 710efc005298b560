"""The page about the components: every class with its arguments, or what it hands out.

Owns reading classes from their source, where types, defaults and docstrings stand as they were written. Deliberately
repeats nothing by hand.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import fastapi_platform


@dataclass(frozen=True, slots=True)
class Attribute:
    """An annotated attribute of a class, as its source has it."""

    name: str
    type: str
    default: str
    """The expression after the equals sign; empty when there is none."""
    meaning: str
    """The string below it, on one line; empty when there is none."""


@cache
def attributes(owner: type) -> tuple[Attribute, ...]:
    """The annotated attributes of a class, in the order of its source, those of its bases left out."""
    module = inspect.getmodule(owner)
    body = _class_body(module, owner.__name__) if module is not None else []
    return tuple(
        Attribute(
            statement.target.id,
            ast.unparse(statement.annotation),
            ast.unparse(statement.value) if statement.value is not None else "",
            _docstring(following),
        )
        for statement, following in pairwise([*body, ast.Pass()])
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    )


def page(made: str) -> str:
    """Every component and value type with its arguments.

    Args:
        made: The sentence that says where the page comes from.
    """
    lines = ["# Components", "", made]
    for name in fastapi_platform.__all__:
        owner = getattr(fastapi_platform, name)
        lines += ["", f"## {name}", "", inspect.getdoc(owner) or "", *_members(owner)]
    return "\n".join(lines) + "\n"


def _members(owner: type[Any]) -> Iterator[str]:
    found = attributes(owner)
    if issubclass(owner, Enum):
        yield from ("", f"Values: {', '.join(_code(str(member.value)) for member in owner)}.")
        return
    if found and is_dataclass(owner):
        yield from ("", "| argument | type | default | meaning |", "| --- | --- | --- | --- |")
        defaults = _defaults(owner)
        for each in found:
            yield f"| `{each.name}` | {_code(each.type)} | {defaults[each.name]} | {each.meaning} |"
    elif found:
        yield from ("", "| output | type | meaning |", "| --- | --- | --- |")
        yield from (f"| `{each.name}` | {_code(each.type)} | {each.meaning} |" for each in found)


def _defaults(owner: type[Any]) -> dict[str, str]:
    """What each argument is when nobody states it; of a factory, what it makes."""
    written = {each.name: each.default for each in attributes(owner)}
    shown: dict[str, str] = {}
    for field in fields(owner):
        if field.default_factory is not MISSING:
            shown[field.name] = _code(repr(field.default_factory()))
        elif field.default is MISSING:
            shown[field.name] = "**required**"
        else:
            shown[field.name] = _code(written[field.name])
    return shown


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"


def _class_body(module: ModuleType, name: str) -> list[ast.stmt]:
    tree = ast.parse(inspect.getsource(module))
    found = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return found[0] if found else []


def _docstring(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""
