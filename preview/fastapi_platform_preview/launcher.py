"""Records stacks, each in a process of its own, as many at once as there are cores.

Owns starting the children and reading their results. Deliberately never imports a program: two stacks cannot see each
other, and a crash is a message.
"""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_platform_policy.record import Record, Value
from fastapi_platform_policy.sources import decode, from_states

from . import children, stack_config
from .children import Children, Process
from .errors import UsageError, refuse
from .fixtures import Fixture
from .project import Project
from .redaction import redacted

_BOOTSTRAP = """
import importlib.util, sys
sys.path[:] = [folder for folder in sys.path if folder]
spec = importlib.util.spec_from_file_location("fastapi_platform_preview", {package!r})
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from fastapi_platform_preview.child import main
main()
"""
"""Adds this package, and nothing that is installed beside it, to the program's environment."""


@dataclass(frozen=True, slots=True)
class RecordedStack:
    """What one stack would consist of."""

    project: str
    stack: str
    records: tuple[Record, ...]
    """Sorted by URN."""
    outputs: Mapping[str, Value]
    """Exports of the stack."""
    messages: tuple[tuple[str, str], ...]
    """Severity and text of what the program logged."""
    seconds: float
    """Wall time of the child, from its start to its result."""


def record(run: Children, project: Project, stack: str, fixtures: Sequence[Fixture]) -> RecordedStack:
    """Record a stack, which takes as long as its program.

    Raises:
        UsageError: when the stack's configuration cannot be used, the program was refused or failed, or the project's
            environment cannot run it.
    """
    process = _start(run, project, _job(project, stack, fixtures))
    text = children.output(process)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _ended(process.returncode) from error
    failure = document.get("failure")
    if failure is not None:
        raise _failed(failure["kind"], redacted(failure["message"]), redacted(failure["details"]))
    return RecordedStack(
        project=project.name,
        stack=stack,
        records=from_states(document["states"]),
        outputs={key: decode(value) for key, value in document["outputs"].items()},
        messages=tuple((message["severity"], message["text"]) for message in document["messages"]),
        seconds=document["seconds"],
    )


def _job(project: Project, stack: str, fixtures: Sequence[Fixture]) -> dict[str, Any]:
    """What the child reads."""
    config = stack_config.load(project, stack)
    return {
        "deployment": {
            "project": project.name,
            "stack": stack,
            "config": dict(config.values),
            "root_directory": str(project.root),
            "secret_keys": list(config.secret_keys),
        },
        "main": project.main,
        "working_directory": str(project.working_directory),
        "answers": [fixture.answer() for fixture in fixtures],
    }


def _ended(code: int) -> UsageError:
    """The refusal of a program that took its process with it."""
    if code < 0:
        how, fix = f"signal {-code}", "Find out who sent it; 9 often means that memory ran out."
    else:
        how, fix = f"exit code {code}", "Take the exit out; `raise pulumi.RunError(…)` ends a program with a message."
    return _not_recorded(f"an end before its result ({how})", fix)


def _failed(kind: str, message: str, details: str) -> UsageError:
    if kind == "refused":
        return UsageError(message)
    if kind == "environment":
        return _not_recorded(message, "Create the environment again: `pulumi install`, or `uv sync` where uv is used.")
    if os.environ.get("FASTAPI_PLATFORM_TRACEBACK"):
        return UsageError(f"{_not_recorded(message, 'It went this way:')}\n{details}")
    return _not_recorded(message, "Set FASTAPI_PLATFORM_TRACEBACK=1 to see how it came there.")


def _not_recorded(got: str, fix: str) -> UsageError:
    return refuse(
        "the program", "", got=got, want="a program that runs to its end",
        why="what it would deploy is known only then", fix=fix,
    )


def _start(run: Children, project: Project, job: Mapping[str, Any]) -> Process:
    package = str(Path(__file__).with_name("__init__.py"))
    try:
        process = run.start([str(project.interpreter), "-c", _BOOTSTRAP.format(package=package)])
    except OSError as error:
        raise refuse(
            project.file.name, "runtime.options", got=f"{project.interpreter} ({error.strerror})",
            want="a Python that can be started", why="the program runs in it",
            fix="Create the environment again: `pulumi install`, or `uv sync` where uv is used.",
        ) from error
    _hand_over(process, job)
    return process


def _hand_over(process: Process, job: Mapping[str, Any]) -> None:
    stdin, process.stdin = process.stdin, None
    if stdin is None:
        return
    # A child that ended before it read its job says why by its exit code.
    with contextlib.suppress(BrokenPipeError), stdin:
        json.dump(job, stdin)
