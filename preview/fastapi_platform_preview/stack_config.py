"""The configuration of one stack, in the form in which the engine hands it to a program.

Owns merging the stack file with the project's declarations, and the checks that the engine makes on the way.
Deliberately decrypts nothing: an encrypted value stays opaque.
Source: https://github.com/pulumi/pulumi/blob/master/pkg/workspace/config.go
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_platform.planning.secrecy import REDACTED

from . import yaml_document
from .errors import UsageError, refuse
from .project import Project
from .yaml_document import as_list, as_mapping


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What a program reads through `pulumi.Config`."""

    values: Mapping[str, str]
    """Text by full key (`project:key`); objects and lists as JSON, encrypted values as `[secret]`."""
    secret_keys: tuple[str, ...]
    """Keys whose value is encrypted, in whole or in part."""


def load(project: Project, stack: str) -> StackConfig:
    """Read a stack's configuration and check it as the engine would.

    Raises:
        UsageError: when the file is missing or unreadable, or a declared key is missing or of another type.
    """
    file = project.existing_stack_file(stack)
    document = yaml_document.read(file)
    _refuse_environments(file, document)
    raw = _namespaced(project, file, document.get("config") or {})
    secrets = tuple(sorted(key for key, value in raw.items() if any(_ciphers(value))))
    _check_salt(file, document, raw)
    _check_declarations(project, file, raw)
    declared = {_full_key(project, key): _stated(declaration) for key, declaration in project.config.items()}
    merged = {key: value for key, value in declared.items() if value is not None} | raw
    return StackConfig({key: _text(_opaque(value)) for key, value in merged.items()}, secrets)


def _namespaced(project: Project, file: Path, config: Any) -> dict[str, Any]:
    keys = as_mapping(config)
    if keys is None:
        raise refuse(
            file.name, "config", got="something else", want="a mapping", why="it holds the settings by key",
            fix=f"Correct {file}.",
        )
    return {_full_key(project, str(key)): value for key, value in keys.items()}


def _full_key(project: Project, key: str) -> str:
    return key if ":" in key else f"{project.name}:{key}"


def _stated(declaration: Mapping[str, Any]) -> Any:
    return declaration["default"] if declaration.get("default") is not None else declaration.get("value")


def _refuse_environments(file: Path, document: Mapping[str, Any]) -> None:
    if document.get("environment"):
        raise refuse(
            file.name, "environment", got="configuration from Pulumi ESC", want="configuration in this file",
            why="an environment is opened by a service, which a preview without credentials cannot reach",
            fix="Use `pulumi preview` for this stack.",
        )


def _check_salt(file: Path, document: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
    if document.get("encryptionsalt") or document.get("encryptedkey"):
        return
    for key, value in raw.items():
        if any(cipher.startswith("v1:") for cipher in _ciphers(value)):
            raise refuse(
                file.name, key, got="an encrypted value without its salt", want="encryptionsalt in the file",
                why="without it nobody can decrypt the value any more",
                fix=f"Restore the line from history, or set it again: pulumi config set --secret --path '{key}'.",
            )


def _check_declarations(project: Project, file: Path, raw: Mapping[str, Any]) -> None:
    problems = [
        str(error)
        for key, declaration in project.config.items()
        if (error := _broken(project, file, key, declaration, raw)) is not None
    ]
    if problems:
        raise UsageError("\n".join(problems))


def _broken(
    project: Project, file: Path, key: str, declaration: Mapping[str, Any], raw: Mapping[str, Any]
) -> UsageError | None:
    full, kind = _full_key(project, key), declaration.get("type")
    if full not in raw:
        if _stated(declaration) is not None or not full.startswith(f"{project.name}:"):
            return None
        return refuse(
            file.name, key, got="nothing", want=f"a value of type {kind or 'string'}",
            why="the project declares the key and has no default for it",
            fix=f"Set it: pulumi config set {key} <value>",
        )
    if declaration.get("secret") and not any(_ciphers(raw[full])):
        return refuse(
            file.name, key, got="a value in clear", want="an encrypted value", why="the project declares it secret",
            fix=f"Set it: pulumi config set --secret {key}",
        )
    if kind is not None and not _has_type(raw[full], str(kind)):
        return refuse(
            file.name, key, got=f"{_shown(raw[full])}", want=f"a value of type {kind}",
            why="the project declares it so", fix=f"Correct it in {file.name}.",
        )
    return None


def _has_type(value: Any, kind: str) -> bool:
    if any(_ciphers(value)) and not isinstance(value, list) and kind != "object":
        return True
    match kind:
        case "integer":
            return _is_integer(value)
        case "boolean":
            return isinstance(value, bool) or value in ("true", "false")
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case _:
            return not isinstance(value, dict | list)


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return value.removeprefix("-").isdigit()
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _ciphers(value: Any) -> Iterator[str]:
    """The encrypted texts in a value."""
    cipher = _cipher(value)
    if cipher is not None:
        yield cipher
        return
    mapping = as_mapping(value)
    for child in (as_list(value) or []) if mapping is None else mapping.values():
        yield from _ciphers(child)


def _cipher(value: object) -> str | None:
    """The encrypted text when the value is one (`{secure: …}`)."""
    mapping = as_mapping(value)
    if mapping is None or set(mapping) != {"secure"}:
        return None
    return str(mapping["secure"])


def _opaque(value: Any) -> Any:
    """The value with `[secret]` in place of everything encrypted."""
    if _cipher(value) is not None:
        return REDACTED
    mapping, elements = as_mapping(value), as_list(value)
    if mapping is not None:
        return {str(key): _opaque(child) for key, child in mapping.items()}
    return value if elements is None else [_opaque(child) for child in elements]


def _text(value: Any) -> str:
    """The text that the engine hands over for a value."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _shown(value: Any) -> str:
    return f"a {'mapping' if isinstance(value, dict) else type(value).__name__}"
