"""Records stacks, each in a process of its own, as many at once as there are cores.

Owns starting the children and reading their results. Deliberately never imports a program: two stacks cannot see each
other, and a crash is a message.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_platform_policy.record import Record, Value
from fastapi_platform_policy.sources import decode, from_states

from . import stack_config
from .errors import UsageError, refuse
from .fixtures import Fixture
from .project import Project

_BOOTSTRAP = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
sys.path.append({folder!r})
from fastapi_platform_preview.child import main
main()
"""
"""Puts this package last on the path of the program's environment, where it hides nothing of the program's own."""


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


@dataclass(frozen=True, slots=True)
class Launched:
    """A child that is recording a stack."""

    project: Project
    stack: str
    process: "subprocess.Popen[str]"

    def result(self) -> RecordedStack:
        """Wait for the child.

        Raises:
            UsageError: when the program was refused, failed, or its environment cannot run it.
        """
        text, _ = self.process.communicate()
        if not text:
            raise self._failed("ended without a result", f"exit code {self.process.returncode}")
        document = json.loads(text)
        failure = document.get("failure")
        if failure is not None:
            raise self._refused(failure)
        return RecordedStack(
            project=self.project.name,
            stack=self.stack,
            records=from_states(document["states"]),
            outputs={key: decode(value) for key, value in document["outputs"].items()},
            messages=tuple((message["severity"], message["text"]) for message in document["messages"]),
            seconds=document["seconds"],
        )

    def _refused(self, failure: Mapping[str, str]) -> UsageError:
        if failure["kind"] == "refused":
            return UsageError(failure["message"])
        if failure["kind"] == "environment":
            return self._failed(failure["message"], "")
        return self._failed(failure["message"], failure["details"])

    def _failed(self, got: str, details: str) -> UsageError:
        shown = "\n" + details if details and os.environ.get("FASTAPI_PLATFORM_TRACEBACK") else ""
        return UsageError(
            str(
                refuse(
                    f"stack {self.stack}", "", got=got, want="a program that runs to its end",
                    why="what it would deploy is known only then",
                    fix="Set FASTAPI_PLATFORM_TRACEBACK=1 to see where it failed.",
                )
            )
            + shown
        )


def launch(project: Project, stack: str, fixtures: Sequence[Fixture]) -> Launched:
    """Start recording a stack.

    Raises:
        UsageError: when the stack's configuration cannot be used, or the project's Python cannot be started.
    """
    config = stack_config.load(project, stack)
    job = {
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
    return Launched(project, stack, _start(project, job))


def _start(project: Project, job: Mapping[str, Any]) -> "subprocess.Popen[str]":
    folder = str(Path(__file__).parents[1])
    try:
        process = subprocess.Popen(
            [str(project.interpreter), "-c", _BOOTSTRAP.format(folder=folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr.fileno(),
            text=True,
        )
    except OSError as error:
        raise refuse(
            project.file.name, "runtime.options", got=f"{project.interpreter} ({error.strerror})",
            want="a Python that can be started", why="the program runs in it",
            fix="Create the environment again: `pulumi install`, or `uv sync` where uv is used.",
        ) from error
    _hand_over(process, job)
    return process


def _hand_over(process: "subprocess.Popen[str]", job: Mapping[str, Any]) -> None:
    stdin, process.stdin = process.stdin, None
    if stdin is None:
        return
    # A child that ended before it read its job says why by its exit code.
    with contextlib.suppress(BrokenPipeError), stdin:
        json.dump(job, stdin)
