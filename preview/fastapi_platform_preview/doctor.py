"""What this machine has for each further step, and how to get what is missing.

Owns the checks. Deliberately changes nothing and never contacts anything but the selected cluster, and that only to
ask for its version.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from . import project
from .errors import UsageError

PYTHON_FLOOR = (3, 11)
CLUSTER_TIMEOUT_SECONDS = 5


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


def examine(start: Path) -> tuple[Check, ...]:
    """Look at the machine, step by step.

    Args:
        start: Folder inside a Pulumi project.
    """
    return (*_preview(start), *_image(), *_local(), *_deploy(start))


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
    return f"{here.name} with stacks {stacks or 'none yet'}", ""


def _image() -> Iterator[Check]:
    tool = next((name for name in ("docker", "podman", "buildah") if shutil.which(name)), "")
    yield Check(
        Step.IMAGE, "docker, podman or buildah", tool,
        "Install Docker (https://docs.docker.com/engine/install/) or Podman (https://podman.io/docs/installation).",
    )


def _local() -> Iterator[Check]:
    tool = next((name for name in ("kind", "k3d", "minikube") if shutil.which(name)), "")
    yield Check(
        Step.LOCAL, "kind, k3d or minikube", tool,
        "Install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    )


def _deploy(start: Path) -> Iterator[Check]:
    yield Check(
        Step.DEPLOY, "pulumi", _first_line("pulumi", "version"), "Install it: https://www.pulumi.com/docs/install/"
    )
    yield Check(Step.DEPLOY, "uv", _first_line("uv", "--version"), "Install it: https://docs.astral.sh/uv/")
    yield Check(
        Step.DEPLOY, "kubectl", "installed" if shutil.which("kubectl") else "",
        "Install it: https://kubernetes.io/docs/tasks/tools/",
    )
    yield Check(
        Step.DEPLOY, "a cluster that answers", _cluster(),
        "Start one (`kind create cluster --name fastapi-platform`), or select it: kubectl config use-context <name>.",
    )


def _cluster() -> str:
    """Version of the selected cluster; empty when none answers."""
    text = _output("kubectl", "version", "--output=json", f"--request-timeout={CLUSTER_TIMEOUT_SECONDS}s")
    try:
        return str(json.loads(text)["serverVersion"]["gitVersion"])
    except (ValueError, KeyError):
        return ""


def _first_line(*command: str) -> str:
    return _output(*command).partition("\n")[0].strip()


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * CLUSTER_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
