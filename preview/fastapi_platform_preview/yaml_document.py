"""YAML as the engine reads it.

Owns the differences to PyYAML's default: `on` and `yes` are text, `1:30` is text, a key that stands twice is an error.
Merge keys are 1.1's, and the engine's parser knows them all the same.
Deliberately keeps the fast C parser.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from pathlib import Path
from typing import Any, cast

import yaml

from .errors import refuse

MERGE = "tag:yaml.org,2002:merge"
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(Loader):
    """YAML 1.2's core types, keys to merge (`<<`), and no key twice."""

    construct_object: Any

    def flatten_mapping(self, node: Any) -> None:
        """Merge into a mapping what it asks for; its own keys are looked at only before, when nothing is merged yet."""
        if not hasattr(node, "checked"):
            node.checked = True
            self._check(node)
        Loader.flatten_mapping(self, node)

    def _check(self, node: Any) -> None:
        known = set[Any]()
        for written in (key for key, _ in node.value if key.tag != MERGE):
            key = self.construct_object(written, deep=True)
            if type(key) in (bool, list, dict, type(None)):
                raise yaml.constructor.ConstructorError(
                    None, None, f"a key that is {described(key)} and not text", written.start_mark
                )
            if key in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one mapping", node.start_mark
                )
            known.add(key)


_CORE_TYPES = {
    "merge": ("<<", ["<"]),
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


_KINDS: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


def described(value: object) -> str:
    """A value as whoever wrote the file would call it; the value itself only when it can be no secret."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return "empty text" if value == "" else _KINDS.get(type(value), "something else")


def read(path: Path, why: str = "the engine could not read the file either") -> dict[str, Any]:
    """The mapping in a YAML file; empty for an empty file.

    Args:
        path: The file.
        why: Why it must be readable, for the message.

    Raises:
        UsageError: when the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise _unreadable(path, why, _no_content(error)) from error
    try:
        document = yaml.load(_decoded(content), _CoreLoader)
    except UnicodeDecodeError as error:
        raise _unreadable(path, why, f"a byte that is no UTF-8 (line {_line(content, error.start)})") from error
    except yaml.YAMLError as error:
        raise _unreadable(path, why, _first_problem(error, content)) from error
    if document is None:
        return {}
    mapping = as_mapping(document)
    if mapping is None:
        raise _unreadable(path, why, described(document))
    return mapping


def _decoded(content: bytes) -> bytes | str:
    """The text; bytes when they announce another encoding, which the parser knows."""
    return content if content.startswith((b"\xff\xfe", b"\xfe\xff")) else content.decode()


def _line(content: bytes | str, position: int) -> int:
    return len(content[:position].splitlines()) or 1


def _no_content(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "a folder"
        case _:
            return f"a file that cannot be opened ({error.strerror})"


def _unreadable(path: Path, why: str, got: str) -> Exception:
    return refuse(path.name, "", got=got, want="a mapping in YAML", why=why, fix=f"Correct {path}.")


def _first_problem(error: yaml.YAMLError, content: bytes) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"a character that YAML does not allow (line {_line(_text(content), error.position)})"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    line, column = error.problem_mark.line, error.problem_mark.column
    place = f"(line {line + 1}, column {column + 1})"
    if _is_tab(content, line, column):
        return f"a tab, where YAML wants blanks {place}"
    said = " ".join(part for part in (error.context, error.problem) if part)
    return f"a mistake in YAML: {said} {place}"


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _is_tab(content: bytes, line: int, column: int) -> bool:
    lines = _text(content).splitlines()
    return line < len(lines) and lines[line][column : column + 1] == "\t"
