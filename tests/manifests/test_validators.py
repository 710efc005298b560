"""The manifests of all stacks, before the eyes of validators that know nothing of us.

kubeconform and kubernetes-validate check them against the schemas of five Kubernetes versions, trivy and checkov
against their own catalogues of bad practice. Findings that we accept stand in `accepted.yaml`, with the reason.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_platform_policy.program import Program
from fastapi_platform_preview import manifests
from tests.conftest import EVERYTHING, STACKS

pytestmark = pytest.mark.validators

KUBERNETES = ("1.33", "1.34", "1.35", "1.36", "1.37")
ACCEPTED = yaml.safe_load((Path(__file__).parent / "accepted.yaml").read_text())["accepted"]
RENDERED = (*STACKS, EVERYTHING)
BAD = Path(__file__).parent / "bad.yaml"


@dataclass(frozen=True, order=True)
class Finding:
    tool: str
    id: str
    object: str
    """Kind and name, e.g. `Deployment orders`."""


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("REQUIRE_TOOLS"), f"{name} is not on PATH, and this run promised it"
        pytest.skip(f"needs {name}: PATH=$(.ci/tools):$PATH, or `make validate`, which does that")
    return found


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | environment
    )


@pytest.fixture(scope="session")
def rendered(recorded_stacks: dict[str, Program], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder by stack with one file an object."""
    root = tmp_path_factory.mktemp("rendered")
    for stack in RENDERED:
        manifests.write(manifests.of_program(recorded_stacks[stack]), root / stack)
    return {stack: root / stack for stack in RENDERED}


def files(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.glob("*.yaml"))


def schema_location() -> str:
    """Where `.ci/tools` put the schemas: beside the folder of its programs."""
    folder = Path(tool("kubeconform")).parents[1] / "schemas"
    return f"{folder}/{{{{.NormalizedKubernetesVersion}}}}-strict/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def schema_versions() -> list[str]:
    folder = Path(tool("kubeconform")).parents[1] / "schemas"
    return sorted(found.name.removeprefix("v").removesuffix("-strict") for found in folder.glob("v*-strict"))


def kubeconform(version: str, *paths: str) -> dict[str, Any]:
    done = run(tool("kubeconform"), "-strict", "-summary", "-output", "json", "-kubernetes-version", version,
               "-schema-location", schema_location(), *paths)  # fmt: skip
    return json.loads(done.stdout)


def test_schemas_of_all_versions_are_there():
    assert [version.rpartition(".")[0] for version in schema_versions()] == list(KUBERNETES)


@pytest.mark.parametrize("stack", RENDERED)
def test_kubeconform_finds_no_error_in_any_version(stack: str, rendered: dict[str, Path]):
    paths = files(rendered[stack])
    for version in schema_versions():
        found = kubeconform(version, *paths)
        assert found.get("resources", []) == [], version
        assert found["summary"] == {"valid": len(paths), "invalid": 0, "errors": 0, "skipped": 0}


def test_kubeconform_would_find_a_misspelled_field():
    for version in schema_versions():
        messages = [each["msg"] for each in kubeconform(version, str(BAD))["resources"]]
        assert any("livenesProbe" in message for message in messages)


@pytest.mark.parametrize("stack", RENDERED)
def test_kubernetes_validate_finds_no_error_in_any_version(stack: str, rendered: dict[str, Path]):
    done = _kubernetes_validate(*files(rendered[stack]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr, "a kind without a schema was passed over"


def test_kubernetes_validate_would_find_a_misspelled_field():
    done = _kubernetes_validate(str(BAD))
    assert done.returncode == 1
    assert "livenesProbe" in done.stdout + done.stderr


def _kubernetes_validate(*paths: str) -> subprocess.CompletedProcess[str]:
    versions = [word for version in KUBERNETES for word in ("-k", version)]
    return run(tool("kubernetes-validate"), *versions, "--strict", *paths)


def trivy(folder: Path) -> Iterator[Finding]:
    done = run(tool("trivy"), "config", "--skip-check-update", "--skip-version-check", "--disable-telemetry", "--quiet",
               "--cache-dir", str(folder.parent / "trivy"), "--format", "json", str(folder))  # fmt: skip
    results = json.loads(done.stdout)["Results"]
    assert {result["Target"] for result in results} == {Path(file).name for file in files(folder)}
    for result in results:
        for found in result.get("Misconfigurations", []):
            yield Finding("trivy", found["ID"], _object(folder / result["Target"]))


def checkov(folder: Path) -> Iterator[Finding]:
    done = run(tool("checkov"), "--framework", "kubernetes", "--skip-download", "--compact", "--output", "json",
               "--directory", str(folder), CKV_SKIP_PACKAGE_UPDATE_CHECK="true")  # fmt: skip
    document = json.loads(done.stdout)
    assert document["summary"]["parsing_errors"] == 0
    assert document["summary"]["passed"] > 0
    for found in document["results"]["failed_checks"]:
        yield Finding("checkov", found["check_id"], _object(folder / found["file_path"].strip("/")))


def _object(file: Path) -> str:
    document = yaml.safe_load(file.read_text())
    return f"{document['kind']} {document['metadata']['name']}"


def _accepts(entry: dict[str, Any], stack: str, finding: Finding) -> bool:
    return (
        (entry["tool"], entry["id"]) == (finding.tool, finding.id)
        and stack in entry["stacks"]
        and any(finding.object.startswith(name) for name in entry["objects"])
    )


@pytest.fixture(scope="session")
def scanned(rendered: dict[str, Path]) -> dict[str, list[Finding]]:
    """Findings of both scanners by stack."""
    return {stack: sorted({*trivy(folder), *checkov(folder)}) for stack, folder in rendered.items()}


@pytest.mark.parametrize("stack", RENDERED)
def test_no_scanner_finds_anything_that_is_not_accepted(stack: str, scanned: dict[str, list[Finding]]):
    left = [found for found in scanned[stack] if not any(_accepts(entry, stack, found) for entry in ACCEPTED)]
    assert not left, "\n".join(f"{found.tool} {found.id} {found.object}" for found in left)


def test_every_acceptance_is_needed_and_has_a_reason(scanned: dict[str, list[Finding]]):
    for entry in ACCEPTED:
        assert len(entry["reason"]) > 40, entry
        for stack in entry["stacks"]:
            assert any(_accepts(entry, stack, found) for found in scanned[stack]), (stack, entry)


def test_the_scanners_would_find_a_privileged_pod(tmp_path: Path):
    folder = tmp_path / "bad"
    folder.mkdir()
    shutil.copy(BAD, folder / "001-bad.yaml")
    assert "KSV-0017" in {found.id for found in trivy(folder)}
    assert "CKV_K8S_16" in {found.id for found in checkov(folder)}
