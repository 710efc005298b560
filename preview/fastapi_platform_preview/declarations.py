"""Configuration keys as the project declares them, and whether a stack's values keep to that.

Owns the types of keys, and the next step for a value that is missing or of another type. Deliberately knows no key:
what a key means is the program's.
Source: https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config-options
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError, did_you_mean, refuse
from .yaml_document import as_list, as_mapping, described

KINDS = ["array", "boolean", "integer", "object", "string"]

Declaration = Mapping[str, Any]
"""A declared key in its long form: `type`, `default`, `value`, `secret`."""


def declarations(file: Path, project: str, config: Any) -> dict[str, Declaration]:
    """The declared keys of a project file in their long form, by key.

    Args:
        file: The project file.
        project: The project's name.
        config: What stands under `config`.

    Raises:
        UsageError: when that is no mapping, or a type is unknown.
    """
    keys = {} if config is None else as_mapping(config)
    if keys is None:
        raise refuse(
            file.name, "config", got=described(config), want="a mapping of keys, or the folder of the stack files",
            why="it declares the configuration by key", fix=f"Correct {file}.",
        )
    declared = {str(key): _long_form(project, str(key), value) for key, value in keys.items()}
    problems = [str(error) for key, each in declared.items() if (error := _unknown_kind(file, key, each)) is not None]
    if problems:
        raise UsageError("\n".join(problems))
    return declared


def _long_form(project: str, key: str, value: Any) -> Declaration:
    """The short form states a default, or a value for another package's key."""
    long_form = as_mapping(value)
    if long_form is not None:
        return long_form
    own = ":" not in key or key.startswith(f"{project}:")
    return {"default" if own else "value": value}


def _unknown_kind(file: Path, key: str, declaration: Declaration) -> UsageError | None:
    kind = declaration.get("type")
    if kind is None or kind in KINDS:
        return None
    return refuse(
        file.name, f"config.{key}.type", got=kind if isinstance(kind, str) else described(kind),
        want=f"one of {', '.join(KINDS)}", why="the engine knows no other type",
        fix=did_you_mean(str(kind), KINDS, "Correct it."),
    )


def stated(declaration: Declaration) -> Any:
    """What the project itself gives a key; None when it gives nothing."""
    return declaration["default"] if declaration.get("default") is not None else declaration.get("value")


def missing(file: Path, stack: str, key: str, declaration: Declaration) -> UsageError:
    """The refusal of a stack file that lacks a declared key."""
    kind = str(declaration.get("type") or "string")
    return refuse(
        file.name, key, got="nothing", want=f"a value of type {kind}",
        why="the project declares the key and has no default for it",
        fix=f"Set it: {_command(stack, key, kind, bool(declaration.get('secret')))}",
    )


def _command(stack: str, key: str, kind: str, secret: bool) -> str:
    """The command that writes a value of a type; one part of it where it has parts."""
    flags = f"--stack {stack}" + (" --secret" if secret else "")
    match kind:
        case "object":
            return f"pulumi config set {flags} --path '{key}.<field>' <value>, once for each field"
        case "array":
            return f"pulumi config set {flags} --path '{key}[0]' <value>, once for each element"
        case "boolean":
            return f"pulumi config set {flags} {key} true, or false"
        case _:
            return f"pulumi config set {flags} {key} {'<number>' if kind == 'integer' else '<value>'}"


def broken(file: Path, stack: str, key: str, declaration: Declaration, value: Any) -> UsageError | None:
    """The refusal of a value that a declaration does not allow; None when it does."""
    kind = str(declaration.get("type") or "string")
    if declaration.get("secret") and not any(ciphers(value)):
        return refuse(
            file.name, key, got="a value in clear", want="an encrypted value", why="the project declares it secret",
            fix=f"Set it: {_command(stack, key, kind, True)}",
        )
    if declaration.get("type") is not None and not _has_type(value, kind):
        return refuse(
            file.name, key, got=described(value), want=f"a value of type {kind}",
            why="the project declares it so", fix=f"Correct it in {file.name}.",
        )
    return None


def _has_type(value: Any, kind: str) -> bool:
    if any(ciphers(value)) and not isinstance(value, list) and kind != "object":
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


def ciphers(value: Any) -> Iterator[str]:
    """The encrypted texts in a value."""
    found = cipher(value)
    if found is not None:
        yield found
        return
    mapping = as_mapping(value)
    for child in (as_list(value) or []) if mapping is None else mapping.values():
        yield from ciphers(child)


def cipher(value: object) -> str | None:
    """The encrypted text when the value is one (`{secure: …}`)."""
    mapping = as_mapping(value)
    if mapping is None or set(mapping) != {"secure"}:
        return None
    return str(mapping["secure"])
