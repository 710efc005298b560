"""The doctor: what a machine has, and how to get what it has not."""

import re
import stat
from pathlib import Path

import pytest

from fastapi_platform_preview import doctor
from fastapi_platform_preview.cli import main
from fastapi_platform_preview.doctor import Step
from tests.conftest import ROOT


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; empty until a test puts something there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def found(step: Step) -> dict[str, str]:
    return {check.need: check.found for check in doctor.examine(ROOT) if check.step is step}


def test_a_preview_needs_nothing_but_what_is_installed_here(tools: Path):
    assert all(found(Step.PREVIEW).values())
    assert found(Step.PREVIEW)["a Pulumi project"] == "fastapi-platform with stacks dev, local, prod"


def test_what_is_missing_is_said_with_its_remedy(tools: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "deploy", "--cwd", str(ROOT)]) == 1
    text, complaint = capfd.readouterr()
    assert re.search(r"^missing +pulumi +Install it: https://www\.pulumi\.com/docs/install/$", text, re.MULTILINE)
    assert complaint == "4 missing for deploy\n"


def test_tools_on_the_path_are_found(tools: Path):
    install(tools, "pulumi", "echo v3.260.0")
    install(tools, "uv", "echo uv 0.13.9")
    install(tools, "podman", "exit 0")
    install(tools, "kind", "exit 0")
    install(tools, "kubectl", """echo '{"serverVersion": {"gitVersion": "v1.36.3"}}'""")
    assert found(Step.DEPLOY) == {
        "pulumi": "v3.260.0", "uv": "uv 0.13.9", "kubectl": "installed", "a cluster that answers": "v1.36.3",
    }  # fmt: skip
    assert found(Step.IMAGE) == {"docker, podman or buildah": "podman"}
    assert found(Step.LOCAL) == {"kind, k3d or minikube": "kind"}


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", """echo '{"clientVersion": {}}'"""])
def test_a_cluster_that_does_not_answer_is_missing(tools: Path, script: str):
    install(tools, "kubectl", script)
    assert found(Step.DEPLOY)["a cluster that answers"] == ""


def test_without_a_step_only_a_preview_must_be_possible(tools: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "--cwd", str(ROOT)]) == 0
    assert "missing" in capfd.readouterr().out


def test_outside_a_project_the_doctor_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "--cwd", str(tmp_path)]) == 1
    assert "got no Pulumi.yaml here or above" in capfd.readouterr().out
