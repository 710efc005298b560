"""What this machine has for each further step, and how to get what is missing.

Owns the checks. Deliberately changes nothing and never contacts anything outside this machine but the clusters that the
stacks name, those only when the question is about a deploy, and only to ask for their version.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from . import clusters, machine, project, versions
from .errors import UsageError

PYTHON_FLOOR = (3, 11)
_BUILDERS = (
    ("docker", "info", "--format", "{{.ServerVersion}}"), ("podman", "--version"), ("buildah", "--version")
)
"""What each builder of images answers when it can build; docker only while its daemon runs."""
INSTALL_PULUMI = "Install it: https://www.pulumi.com/docs/install/"


class Step(StrEnum):
    """What somebody may want to do next."""

    PREVIEW = "preview"
    IMAGE = "image"
    LOCAL = "local"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a step needs."""

    step: Step
    need: str
    found: str
    """What there is; empty when it is missing."""
    remedy: str
    """How to get it; shown when it is missing."""
    asked: bool = True
    """Whether the step cannot be done without it; a cluster of a stack that nobody named can be missing."""


def examine(start: Path, step: Step | None = None, stacks: Sequence[str] = ()) -> tuple[Check, ...]:
    """Look at the machine, step by step.

    Args:
        start: Folder inside a Pulumi project.
        step: The step that matters; none for all, and then no stack is recorded and no cluster asked.
        stacks: Stacks whose clusters must answer; none to ask those of all, which may then be missing.
    """
    found = [check for each in Step if step in (None, each) for check in _EXAMINERS[each](start)]
    if step is Step.DEPLOY:
        found += _clusters(start, stacks)
    return tuple(found)


def _preview(start: Path) -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check(
        Step.PREVIEW, "Python 3.11 or later", version if sys.version_info >= PYTHON_FLOOR else "",
        "Install Python 3.11 or later.",
    )
    yield Check(
        Step.PREVIEW, "Pulumi SDK for Python", "installed" if find_spec("pulumi") else "",
        "Run `make preview`, or `uv sync` in the project.",
    )
    found, remedy = _project(start)
    yield Check(Step.PREVIEW, "a Pulumi project", found, remedy)


def _project(start: Path) -> tuple[str, str]:
    try:
        here = project.find(start)
    except UsageError as error:
        return "", str(error)
    stacks = ", ".join(here.stacks())
    if not stacks:
        return "", f"{here.name} has no stack yet: create {here.stack_file('dev')}."
    return f"{here.name} with stacks {stacks}", ""


def _image(_: Path) -> Iterator[Check]:
    tool = next((question[0] for question in _BUILDERS if machine.first_line(*question)), "")
    yield Check(
        Step.IMAGE, "docker, podman or buildah", tool,
        "Docker is here and does not answer: `docker info` says why." if shutil.which("docker") else
        "Install Docker (https://docs.docker.com/engine/install/) or Podman (https://podman.io/docs/installation).",
    )


def _local(_: Path) -> Iterator[Check]:
    tool = next((name for name in ("kind", "k3d", "minikube") if shutil.which(name)), "")
    yield Check(
        Step.LOCAL, "kind, k3d or minikube", tool,
        "Install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    )


def _deploy(start: Path) -> Iterator[Check]:
    yield _pulumi(start)
    yield Check(
        Step.DEPLOY, "uv", machine.first_line("uv", "--version"), "Install it: https://docs.astral.sh/uv/"
    )
    yield Check(
        Step.DEPLOY, "kubectl", "installed" if shutil.which("kubectl") else "",
        "Install it: https://kubernetes.io/docs/tasks/tools/",
    )


def _clusters(start: Path, stacks: Sequence[str]) -> Iterator[Check]:
    for cluster, version in clusters.examine(start, stacks):
        which = f" (context {cluster.context})" if cluster.context else ""
        remedy = "Start it (`kind create cluster --name …`), or add it to your kubeconfig: kubectl config get-contexts."
        need = f"the cluster of stack {cluster.stack}{which}"
        yield Check(Step.DEPLOY, need, version, cluster.mistake or remedy, asked=bool(stacks))


def _pulumi(start: Path) -> Check:
    """The CLI, in a version that the project accepts."""
    version, accepted = machine.first_line("pulumi", "version"), _accepted(start)
    need = f"pulumi {accepted}".strip()
    answer = versions.allowed(version, accepted) if version and accepted else True
    if answer is False:
        return Check(Step.DEPLOY, need, "", f"Found {version}. {INSTALL_PULUMI}")
    unsure = " (cannot be compared)" if answer is None else ""
    return Check(Step.DEPLOY, need, f"{version}{unsure}", INSTALL_PULUMI)


def _accepted(start: Path) -> str:
    try:
        return project.find(start).required_version
    except UsageError:
        return ""


_EXAMINERS: Mapping[Step, Callable[[Path], Iterator[Check]]] = {
    Step.PREVIEW: _preview,
    Step.IMAGE: _image,
    Step.LOCAL: _local,
    Step.DEPLOY: _deploy,
}
