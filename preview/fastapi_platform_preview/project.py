"""The Pulumi project that the command stands in.

Owns finding and reading the project file as the engine does: `main`, the working directory, the environment, and where
the stack files are. Deliberately reads no stack file (`stack_config`), and leaves the declared keys to `declarations`.
Source: https://www.pulumi.com/docs/iac/concepts/projects/project-file/
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import yaml_document
from .declarations import declarations
from .errors import did_you_mean, refuse
from .yaml_document import as_mapping, described

TOOLCHAINS = ["pip", "poetry", "uv"]
ENTRY = "__main__.py"
"""What the engine runs in a folder."""
PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_STACK_NAME = re.compile(r"(?!.*\.(?:yaml|yml|json)(?:\.|$))[A-Za-z0-9_.-]{1,100}")
"""What the engine accepts, but no copy of a stack file (`Pulumi.dev.yaml.bak.yaml`)."""


@dataclass(frozen=True, slots=True)
class Project:
    """A Pulumi project whose program is written in Python."""

    file: Path
    """Its `Pulumi.yaml`."""
    name: str
    config: Mapping[str, Any]
    """Declared configuration keys, by key."""
    interpreter: Path
    """Python of the environment that the program runs in."""
    required_version: str
    """Range of the Pulumi CLI's versions that the project accepts; empty for any."""
    main: str
    """What the engine would run: a file name, or `.` for a folder with `__main__.py`."""
    working_directory: Path
    """Where the engine would run it."""
    stack_directory: Path
    """Where the stack files are."""

    @property
    def root(self) -> Path:
        """Folder of the project file."""
        return self.file.parent

    def stack_file(self, stack: str) -> Path:
        """The file of a stack, whether or not it exists."""
        return self.stack_directory / f"Pulumi.{stack}{self.file.suffix}"

    def stacks(self) -> list[str]:
        """Names of the stacks that have a file, sorted; copies and other files that no stack can have are left out."""
        suffix = self.file.suffix
        files = [file.name for file in self.stack_directory.glob(f"Pulumi.*{suffix}") if file.is_file()]
        names = (name.removeprefix("Pulumi.").removesuffix(suffix) for name in files)
        return sorted(name for name in names if _STACK_NAME.fullmatch(name))

    def existing_stack_file(self, stack: str) -> Path:
        """The file of a stack.

        Raises:
            UsageError: when there is none.
        """
        file = self.stack_file(stack)
        if file.is_file():
            return file
        known = self.stacks()
        if file.is_dir():
            raise refuse(
                file.name, "", got="a folder", want="a file", why="a stack's settings are in its file",
                fix=f"Move {file} away.",
            )
        wanted = f"one of the stacks {', '.join(known)}" if known else "a stack file"
        raise refuse(
            file.name, "", got="no such file", want=wanted,
            why="a stack's settings are in its file", fix=did_you_mean(stack, known, f"Create {file}."),
        )


def find(start: Path) -> Project:
    """The project that encloses a folder.

    Raises:
        UsageError: when there is none, or it is not a Python project.
    """
    for folder in (start, *start.parents):
        for name in PROJECT_FILES:
            if (folder / name).is_file():
                return _load(folder / name)
    raise refuse(
        str(start), "", got="no Pulumi.yaml here or above", want="a folder inside a Pulumi project",
        why="the command runs the program of the project it stands in", fix="Change to the project, or use --cwd.",
    )


def _load(file: Path) -> Project:
    document = yaml_document.read(file)
    if not document:
        raise refuse(
            file.name, "", got="an empty file", want="the project's name and runtime",
            why="they say what is deployed, and what runs it", fix="Add `name: …` and `runtime: python`.",
        )
    name = _name(file, document)
    options = _python_options(file, document.get("runtime"))
    config = document.get("config")
    directory = _text(file, document, "stackConfigDir") or (config if isinstance(config, str) else "")
    working_directory, main = _program(file, _text(file, document, "main"))
    return Project(
        file=file,
        name=name,
        config=declarations(file, name, None if isinstance(config, str) else config),
        interpreter=_interpreter(file, options),
        required_version=str(document.get("requiredPulumiVersion") or ""),
        main=main,
        working_directory=working_directory,
        stack_directory=file.parent / directory,
    )


def _name(file: Path, document: Mapping[str, Any]) -> str:
    name = _text(file, document, "name")
    if name:
        return name
    raise refuse(
        file.name, "name", got="nothing", want="the name of the project", why="it is part of every URN", fix="Add it."
    )


def _text(file: Path, document: Mapping[str, Any], key: str) -> str:
    """A key whose value must be text; empty when it is not there."""
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    quoted = f"Put it into quotes: {key}: '{value}'." if isinstance(value, int | float) else "Correct it."
    raise refuse(
        file.name, key, got=described(value), want="text", why="the engine could not read the file either", fix=quoted
    )


def _python_options(file: Path, runtime: Any) -> Mapping[str, Any]:
    long_form = as_mapping(runtime) or {"name": runtime}
    name = long_form.get("name")
    if name is None:
        raise refuse(
            file.name, "runtime", got="nothing", want="python", why="it says what runs the program",
            fix="Add `runtime: python`.",
        )
    if name != "python":
        raise refuse(
            file.name, "runtime", got=name if isinstance(name, str) else described(name), want="python",
            why="a recording runs the program in Python", fix="Use `pulumi preview` for programs in other languages.",
        )
    options = {} if long_form.get("options") is None else as_mapping(long_form["options"])
    if options is None:
        raise refuse(
            file.name, "runtime.options", got=described(long_form["options"]), want="a mapping",
            why="it says which environment the program runs in", fix="Correct it.",
        )
    return {key: _text(file, options, key) for key in ("toolchain", "virtualenv")}


def _program(file: Path, main: str) -> tuple[Path, str]:
    """Working directory and entry point, as the engine derives them from `main`."""
    target = (file.parent / main).resolve() if main else file.parent
    if target.is_file():
        return target.parent, target.name
    if (target / ENTRY).is_file():
        return target, "."
    raise refuse(
        file.name, "main", got=f"no {ENTRY} in {target}" if target.is_dir() else main,
        want=f"a folder with {ENTRY}, or a file", why="there is nothing to run",
        fix="Correct main." if main else f"Write {target / ENTRY}, or say in {file.name} where the program is: main: …",
    )


def _interpreter(file: Path, options: Mapping[str, Any]) -> Path:
    """Python of the project's environment; this one when the project has none."""
    environment = _environment(file, options)
    if environment is None:
        return Path(sys.executable)
    for relative in ("bin/python", "Scripts/python.exe"):
        if (environment / relative).is_file():
            return environment / relative
    raise refuse(
        file.name, "runtime.options", got=f"no environment at {environment}", want="an environment with Python",
        why="the program runs in it", fix="Create it: `pulumi install`, or `uv sync` where uv is used.",
    )


def _environment(file: Path, options: Mapping[str, Any]) -> Path | None:
    root = file.parent
    match str(options.get("toolchain") or "pip"):
        case "pip":
            return root / str(options["virtualenv"]) if options.get("virtualenv") else None
        case "uv" if options.get("virtualenv"):
            return root / str(options["virtualenv"])
        case "uv":
            home = _searched_upward(root, "uv.lock") or _searched_upward(root, "pyproject.toml") or root
            return home / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
        case "poetry":
            return _inside_project(file)
        case unknown:
            raise refuse(
                file.name, "runtime.options.toolchain", got=unknown, want="pip, poetry or uv",
                why="nobody can tell where its environment is", fix=did_you_mean(unknown, TOOLCHAINS, "Correct it."),
            )


def _inside_project(file: Path) -> Path:
    """Poetry's environment, when it is where Poetry looks first; any other place is known to Poetry alone."""
    environment = (_searched_upward(file.parent, "pyproject.toml") or file.parent) / ".venv"
    if environment.is_dir():
        return environment
    raise refuse(
        file.name, "runtime.options.toolchain", got=f"poetry, and no environment at {environment}",
        want="an environment inside the project", why="the program runs in it, and only Poetry knows another place",
        fix="Create it: `poetry config --local virtualenvs.in-project true`, then `poetry install`.",
    )


def _searched_upward(start: Path, name: str) -> Path | None:
    return next((folder for folder in (start, *start.parents) if (folder / name).is_file()), None)

