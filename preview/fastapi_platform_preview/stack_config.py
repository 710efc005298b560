"""The configuration of one stack, in the form in which the engine hands it to a program.

Owns merging the stack file with the project's declarations, and the checks that the engine makes on the way.
Deliberately decrypts nothing: an encrypted value stays opaque.
Source: https://github.com/pulumi/pulumi/blob/master/pkg/workspace/config.go
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_platform.planning.secrecy import REDACTED

from . import yaml_document
from .declarations import Declaration, broken, cipher, ciphers, missing, stated
from .errors import UsageError, did_you_mean, refuse
from .project import Project
from .yaml_document import as_list, as_mapping, described

KEYS = ["config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"]
"""What the engine reads in a stack file."""
SLIP_LENGTH = 6
"""Shorter names are near too many others."""


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
    _refuse_unknown(file, document)
    _refuse_environments(file, document)
    raw = _namespaced(project, file, {} if document.get("config") is None else document["config"])
    secrets = tuple(sorted(key for key, value in raw.items() if any(ciphers(value))))
    _check_salt(project, file, document, raw)
    _check_declarations(project, file, stack, raw)
    declared = {_full_key(project, key): stated(declaration) for key, declaration in project.config.items()}
    merged = {key: value for key, value in declared.items() if value is not None} | raw
    return StackConfig({key: _text(_opaque(value)) for key, value in merged.items()}, secrets)


def _refuse_unknown(file: Path, document: Mapping[str, Any]) -> None:
    _raise_all(
        refuse(
            file.name, str(key), got="an unknown key", want=f"one of {', '.join(KEYS)}",
            why="the engine would pass over it", fix=did_you_mean(str(key), KEYS, "Put it under config, or remove it."),
        )
        for key in document
        if key not in KEYS
    )


def _namespaced(project: Project, file: Path, config: Any) -> dict[str, Any]:
    """The settings by full key.

    Raises:
        UsageError: when they are no mapping, or a key stands twice or in a namespace that nobody reads.
    """
    keys = as_mapping(config)
    if keys is None:
        raise refuse(
            file.name, "config", got=described(config), want="a mapping", why="it holds the settings by key",
            fix=f"Correct {file.name}.",
        )
    _raise_all(error for key in keys if (error := _misplaced(project, file, str(key), keys)) is not None)
    return {_full_key(project, str(key)): value for key, value in keys.items()}


def _misplaced(project: Project, file: Path, key: str, keys: Mapping[str, Any]) -> UsageError | None:
    namespace, colon, name = key.partition(":")
    if not colon and f"{project.name}:{key}" in keys:
        return refuse(
            file.name, key, got=f"the same key as {project.name}:{key}", want="one of them",
            why="a key without a namespace is the project's, and the engine takes either value", fix="Remove one.",
        )
    if colon and _mistaken_for(namespace, project.name):
        return refuse(
            file.name, key, got=f"a key of {namespace}", want=f"a key of {project.name}, as this project is named",
            why="the program does not read it", fix=f"Did you mean {project.name}:{name}?",
        )
    return None


def _mistaken_for(namespace: str, project: str) -> bool:
    """Whether a namespace is the project's name misspelled, and not another name that is like it."""
    ours, theirs = project.lower(), namespace.lower()
    return namespace != project and (_letters(ours) == _letters(theirs) or _one_slip_apart(ours, theirs))


def _letters(name: str) -> str:
    return name.replace("-", "").replace("_", "")


def _one_slip_apart(one: str, other: str) -> bool:
    """Whether one name has a letter more, or two letters in the other order; another letter makes another name."""
    short, long = sorted((one, other), key=len)
    if len(short) < SLIP_LENGTH:
        return False
    if len(short) == len(long):
        return any(short == f"{long[:at]}{long[at + 1]}{long[at]}{long[at + 2 :]}" for at in range(len(long) - 1))
    return any(short == long[:at] + long[at + 1 :] for at in range(len(long)))


def _full_key(project: Project, key: str) -> str:
    return key if ":" in key else f"{project.name}:{key}"


def _own_key(project: Project, key: str) -> str:
    """A key as messages name it: without the project's own namespace."""
    return key.removeprefix(f"{project.name}:")


def _refuse_environments(file: Path, document: Mapping[str, Any]) -> None:
    if document.get("environment"):
        raise refuse(
            file.name, "environment", got="configuration from Pulumi ESC", want="configuration in this file",
            why="an environment is opened by a service, which a preview without credentials cannot reach",
            fix="Use `pulumi preview` for this stack.",
        )


def _check_salt(project: Project, file: Path, document: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
    if document.get("encryptionsalt") or document.get("encryptedkey"):
        return
    _raise_all(
        refuse(
            file.name, _own_key(project, key), got="an encrypted value without its salt",
            want="encryptionsalt in the file", why="without it nobody can decrypt the value any more",
            fix=f"Restore the line from history, or set it again: pulumi config set --secret --path "
            f"'{_own_key(project, key)}'. A program may refuse encrypted settings, as this platform's does: it names a "
            "Kubernetes Secret instead.",
        )
        for key, value in raw.items()
        if any(each.startswith("v1:") for each in ciphers(value))
    )


def _check_declarations(project: Project, file: Path, stack: str, raw: Mapping[str, Any]) -> None:
    _raise_all(
        error
        for key, declaration in project.config.items()
        if (error := _broken(project, (file, stack), key, declaration, raw)) is not None
    )


def _broken(
    project: Project, where: tuple[Path, str], key: str, declaration: Declaration, raw: Mapping[str, Any]
) -> UsageError | None:
    full, shown = _full_key(project, key), _own_key(project, key)
    if full in raw:
        return broken(*where, shown, declaration, raw[full])
    if stated(declaration) is not None or not full.startswith(f"{project.name}:"):
        return None
    return missing(*where, shown, declaration)


def _raise_all(errors: Iterable[UsageError]) -> None:
    """Raise every mistake as one."""
    found = [str(error) for error in errors]
    if found:
        raise UsageError("\n".join(found))


def _opaque(value: Any) -> Any:
    """The value with `[secret]` in place of everything encrypted."""
    if cipher(value) is not None:
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

