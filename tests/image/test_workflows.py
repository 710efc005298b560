"""The workflows do what they say: what they call exists, what they use is pinned, what they may do is little."""

import os
import re
from importlib.util import find_spec
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.image.workflows import FOLDER, commands, jobs, make_targets, steps, workflows

WRITES = {
    ("app.yaml", "publish"): {"id-token"},
    ("app.yaml", "release"): {"contents"},
    ("preview.yaml", "comment"): {"pull-requests"},
}
"""Jobs that may write, and what."""


def test_every_action_is_pinned_by_commit_and_says_its_version():
    """A tag can be moved to other code; a commit cannot."""
    lines = [line for file in FOLDER.glob("*.yaml") for line in file.read_text().splitlines() if "uses:" in line]
    foreign = [line for line in lines if "uses: ./" not in line]
    assert len(foreign) > 10
    for line in foreign:
        assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+(\.\d+)+$", line), line


def test_one_action_has_one_version():
    versions: dict[str, set[str]] = {}
    for step in steps():
        if step.uses:
            versions.setdefault(step.uses.partition("@")[0], set()).add(step.uses)
    assert {name: len(found) for name, found in versions.items() if len(found) > 1} == {}


def test_what_a_job_may_do_is_stated_and_little():
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {}, name
    for name, job, content in jobs():
        granted: dict[str, str] = content["permissions"]
        writes = {scope for scope, level in granted.items() if level == "write"}
        assert writes == WRITES.get((name, job), set()), (name, job)
        assert set(granted.values()) <= {"read", "write"}


def test_a_job_that_may_write_runs_no_code_of_the_repository():
    for step in steps():
        if (step.workflow, step.job) in WRITES:
            assert "checkout" not in step.uses
            assert not [line for line in step.commands if re.search(r"(^|[ /])(make|uv|uvx|\.ci/\w+)\b", line)]


def test_no_checkout_leaves_a_credential_behind():
    checkouts = [step for step in steps() if step.uses.startswith("actions/checkout@")]
    assert len(checkouts) > 3
    assert all(step.content["with"]["persist-credentials"] is False for step in checkouts)


def test_every_run_ends_and_the_last_one_of_a_pull_request_wins():
    """What runs on main or for a release is judged to the end."""
    for name, workflow in workflows().items():
        assert "github." in workflow["concurrency"]["group"], name
        only_pull_requests = set(workflow[True]) == {"pull_request"}
        wanted = True if only_pull_requests else "${{ github.event_name == 'pull_request' }}"
        assert workflow["concurrency"]["cancel-in-progress"] == wanted, name
    for name, job, content in jobs():
        if "uses" not in content:
            assert 1 <= content["timeout-minutes"] <= 90, (name, job)


@pytest.mark.control("ci-quality-gates")
def test_no_gate_can_be_passed_by_failing():
    for name, job, content in jobs():
        assert "continue-on-error" not in content, (name, job)
    for step in steps():
        assert "continue-on-error" not in step.content
        assert not [line for line in step.commands if re.search(r"\|\| *(true|:|exit 0)", line)]


@pytest.mark.control("ci-quality-gates", "vulnerability-scan")
def test_every_gate_runs_on_every_push_and_pull_request():
    workflow: dict[Any, Any] = workflows()["app.yaml"]
    triggers = workflow[True]
    assert triggers["push"]["branches"] == ["main"]
    assert "pull_request" in triggers
    lines = "\n".join(commands("app.yaml"))
    for gate in ("ruff format --check", "ruff check", "pyright", "runtime.lint", "pytest", "pip-audit", "oasdiff",
                 "--exit-code 1"):
        assert gate in lines, gate
    gates = {job for job, content in workflow["jobs"].items() if "if" not in content}
    assert gates == {"test", "audit", "contract", "image"}


@pytest.mark.control("ci-quality-gates")
def test_a_release_needs_every_gate_and_every_suite():
    """A tag may stand on a commit that no branch has tested."""
    workflow: dict[Any, Any] = workflows()["app.yaml"]
    publish, suites = workflow["jobs"]["publish"], workflow["jobs"]["suites"]
    assert set(publish["needs"]) == set(workflow["jobs"]) - {"publish", "release"}
    assert workflow["jobs"]["release"]["needs"] == ["publish"]
    assert publish["if"] == suites["if"] == "github.ref_type == 'tag'"
    assert (suites["uses"], "workflow_call" in workflows()["ci.yaml"][True]) == ("./.github/workflows/ci.yaml", True)
    assert "sudo env CI=true \"PATH=$PATH\" .ci/run" in commands("ci.yaml")


@pytest.mark.control("build-once-promote-digest", "sbom-and-image-signature")
def test_what_is_published_is_what_was_scanned_and_its_signature_is_verified():
    builds = [step.job for step in steps() if "build-push-action" in step.uses]
    assert builds == ["image"]
    script = "\n".join(line for step in steps() if step.job == "publish" for line in step.commands)
    assert "--preserve-digests oci-archive:image.tar" in script
    for verb in ("sign", "attest", "verify", "verify-attestation"):
        assert re.search(rf'^cosign {verb} .*"\$IMAGE@\$DIGEST"', script, re.MULTILINE), verb


def test_every_make_target_and_script_that_is_called_exists():
    lines = [*commands(), *(ROOT / ".ci/run").read_text().splitlines()]
    targets = {word for line in lines for word in re.findall(r"(?:^|step )make ([\w./ ]+)$", line)}
    scripts = {word for line in lines for word in re.findall(r"(?:^| )(\.ci/[\w/]+)", line)}
    assert {"check", "test", "container", ".venv/.ready"} <= targets <= make_targets()
    assert {".ci/run", ".ci/packages", ".ci/image/sbom"} <= scripts
    assert [script for script in scripts if not os.access(ROOT / script, os.X_OK)] == []


def test_every_module_and_folder_that_is_named_exists():
    for step in steps():
        folder = ROOT / step.content.get("working-directory", ".")
        assert folder.is_dir()
        for module in re.findall(r"python -m ([\w.]+)", "\n".join(step.commands)):
            assert (folder / f"{module.replace('.', '/')}.py").is_file() or find_spec(module), module
    for context in [step.content["with"]["context"] for step in steps() if "build-push" in step.uses]:
        assert (ROOT / context / "Dockerfile").is_file()
    assert find_spec("fastapi_platform_preview.preview_command")
    assert any(".venv/bin/fastapi-platform preview" in line for line in commands("preview.yaml"))


def test_no_expression_stands_in_a_script():
    """What a title or a branch says would be run."""
    assert [line for line in commands() if "${{" in line] == []
