"""A copy of this workspace for the engine: a new stack writes a salt into its stack file."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import EVERYTHING, ROOT, STACKS

OUTSIDE = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
"""This process's environment without the one it runs in: uv would otherwise fill that one."""


def copy_workspace(copy: Path) -> None:
    """Copy what a deploy needs, and make an environment there."""
    for name in ("components", "infra", "policy", "preview", "runtime"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Pulumi.yaml", "uv.lock", "pyproject.toml", *(f"Pulumi.{stack}.yaml" for stack in STACKS)):
        shutil.copy(ROOT / name, copy)
    shutil.copy(ROOT / "tests" / f"Pulumi.{EVERYTHING}.yaml", copy)
    subprocess.run(["uv", "sync", "--frozen", "--quiet"], cwd=copy, check=True, timeout=300, env=OUTSIDE)
