"""Dockerfile, workflows, scripts and history before validators that know nothing of us: no finding, no exception.

What needs the internet runs in the workflow alone: the vulnerabilities that trivy and pip-audit know of, and zizmor's
questions to GitHub.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.image.workflows import FOLDER

pytestmark = pytest.mark.validators

DOCKERFILE = ROOT / "app-example/Dockerfile"
NO_HEALTHCHECK = "DS-0026"
"""Kubernetes ignores a HEALTHCHECK; the top of the Dockerfile says what answers instead."""


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    name = str(command[0])
    if shutil.which(name) is None:
        assert not os.environ.get("REQUIRE_TOOLS"), f"{name} is not on PATH, and this run promised it"
        pytest.skip(f"needs {name}: PATH=$(.ci/tools):$PATH, or `make validate`, which does that")
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def broken(tmp_path: Path, file: Path, old: str, new: str) -> Path:
    """A copy of a file with a mistake in it."""
    text = file.read_text()
    assert old in text
    copy = tmp_path / file.name
    copy.write_text(text.replace(old, new))
    return copy


def misconfigurations(dockerfile: Path, cache: Path) -> set[str]:
    done = run("trivy", "config", "--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet",
               "--cache-dir", cache, "--format", "json", dockerfile)  # fmt: skip
    results = json.loads(done.stdout)["Results"]
    assert sum(result["MisconfSummary"]["Successes"] for result in results) > 10
    return {found["ID"] for result in results for found in result.get("Misconfigurations", [])}


def test_hadolint_finds_nothing():
    done = run("hadolint", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_a_stage_that_is_not_there(tmp_path: Path):
    """It takes the named context for one, which is the one thing that it is told to pass over."""
    done = run("hadolint", "--no-color", broken(tmp_path, DOCKERFILE, "# hadolint ignore=DL3022\n", ""))
    assert "DL3022" in done.stdout


def test_trivy_misses_a_healthcheck_and_nothing_else(tmp_path: Path):
    assert misconfigurations(DOCKERFILE, tmp_path) == {NO_HEALTHCHECK}


def test_trivy_would_find_root(tmp_path: Path):
    assert "DS-0002" in misconfigurations(broken(tmp_path, DOCKERFILE, "USER 10001:10001\n", ""), tmp_path)


@pytest.mark.parametrize(
    "command",
    [("actionlint",), ("zizmor", "--offline", "--persona", "pedantic", ".github"),
     ("check-jsonschema", "--builtin-schema", "vendor.renovate", ".github/renovate.json")],
    ids=lambda command: command[0],
)
def test_a_validator_of_workflows_and_updates_finds_nothing(command: tuple[str, ...]):
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_an_output_that_no_step_has(tmp_path: Path):
    done = run("actionlint", broken(tmp_path, FOLDER / "app.yaml", "steps.digest.outputs", "steps.digets.outputs"))
    assert "digets" in done.stdout


def test_actionlint_looks_into_scripts(tmp_path: Path):
    done = run("actionlint", broken(tmp_path, FOLDER / "preview.yaml", 'comment "$NUMBER"', "comment $NUMBER"))
    assert "SC2086" in done.stdout


def test_zizmor_would_find_a_title_that_is_run(tmp_path: Path):
    line = "          make .venv/.ready\n"
    bad = broken(tmp_path, FOLDER / "preview.yaml", line, f"{line}          echo ${{{{ github.head_ref }}}}\n")
    assert "template-injection" in run("zizmor", "--offline", bad).stdout


def test_the_scripts_are_sound():
    scripts = [file for folder in (".ci", ".ci/image") for file in sorted((ROOT / folder).iterdir()) if file.is_file()]
    scripts += (ROOT / "tests/cluster").glob("*.sh")
    assert len(scripts) > 8
    done = run("shellcheck", "--external-sources", *scripts)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.control("no-hardcoded-secrets")
def test_the_history_holds_no_credential():
    done = run("gitleaks", "git", "--no-banner", "--redact", "--verbose")
    assert done.returncode == 0, done.stdout


@pytest.mark.control("no-hardcoded-secrets")
@pytest.mark.parametrize("folder", ["app", "tests"])
def test_a_credential_in_the_history_would_be_found_though_it_is_gone(folder: str, tmp_path: Path):
    """In tests too: only the kinds of keys that tests make up themselves are passed over there."""

    def git(*words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    shutil.copy(ROOT / ".gitleaks.toml", tmp_path)
    (tmp_path / folder).mkdir()
    token = "ghp_" + "x7Kq2Zt9Lw4Rb8Nf3Jd6Vh1Ms5Yc0Gp8QaEu"
    (tmp_path / folder / "settings.py").write_text(f'TOKEN = "{token}"\n')
    git("add", ".")
    git("commit", "-m", "in")
    git("rm", "-r", folder)
    git("commit", "-m", "out")
    done = run("gitleaks", "git", "--no-banner", "--redact", "--verbose", cwd=tmp_path)
    assert done.returncode == 1
    assert "github-pat" in done.stdout
    assert token not in done.stdout
