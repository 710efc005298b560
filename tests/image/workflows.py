"""The workflows as data: their jobs and steps, and the commands that they run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.conftest import ROOT

FOLDER = ROOT / ".github/workflows"


@dataclass(frozen=True)
class Step:
    """A step of a job, and where it stands."""

    workflow: str
    job: str
    content: dict[str, Any]

    @property
    def uses(self) -> str:
        return self.content.get("uses", "")

    @property
    def commands(self) -> list[str]:
        """Lines of its script, without indentation."""
        return [line.strip() for line in self.content.get("run", "").splitlines()]


def workflows() -> dict[str, dict[Any, Any]]:
    """Parsed files by name; `on` is the key True, as YAML 1.1 reads it."""
    return {file.name: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, workflow in workflows().items():
        for job, content in workflow["jobs"].items():
            yield name, job, content


def steps() -> list[Step]:
    return [Step(name, job, step) for name, job, content in jobs() for step in content.get("steps", ())]


def commands(workflow: str | None = None) -> list[str]:
    return [line for step in steps() if workflow in (None, step.workflow) for line in step.commands]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {".venv/.ready"}
