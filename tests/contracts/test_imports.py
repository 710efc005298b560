"""Who imports whom. import-linter holds the arrows between the packages; these are the ones it cannot see."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastapi_platform
from tests.conftest import ROOT

INFRA = ROOT / "infra"
OWN_MODULES = {file.stem for file in INFRA.glob("*.py")}
INFRA_MAY_IMPORT = {"fastapi_platform", "pulumi", "pulumi_kubernetes", "pulumi_random", "pydantic", "pydantic_core"}
ROOMS = ("components", "policy", "preview", "runtime")


def imported(file: Path) -> set[str]:
    """Top-level names of everything a file imports from elsewhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("file", sorted(INFRA.glob("*.py")), ids=lambda file: file.name)
def test_the_program_imports_components_and_nothing_that_judges_it(file: Path):
    foreign = imported(file) - set(sys.stdlib_module_names) - OWN_MODULES
    assert foreign <= INFRA_MAY_IMPORT


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_imports_the_program(room: str):
    """The preview runs whatever project it stands in; ours must not be special."""
    for file in (ROOT / room).rglob("*.py"):
        assert not imported(file) & (OWN_MODULES - {"__main__"}), file


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps([name for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_a_user_of_kubernetes_pays_for_no_other_provider():
    loaded = modules_after("from fastapi_platform import FastApiService")
    assert "pulumi_kubernetes" in loaded
    assert not loaded & {"pulumi_gcp", "pulumi_cloudflare", "pydantic"}


def test_planning_pays_for_no_provider_at_all():
    loaded = modules_after("from fastapi_platform.planning import drain, names\nimport fastapi_platform_policy.catalog")
    assert not loaded & {"pulumi", "pulumi_kubernetes", "pulumi_random", "pydantic", "grpc"}


def test_every_public_name_exists_and_is_documented():
    reference = (ROOT / "docs" / "reference" / "components.md").read_text()
    for name in fastapi_platform.__all__:
        owner = getattr(fastapi_platform, name)
        assert owner.__doc__, name
        assert f"\n## {name}\n" in reference
    assert set(dir(fastapi_platform)) == set(fastapi_platform.__all__)


def test_an_unknown_public_name_is_an_attribute_error():
    misspelled = "FastApiServise"
    with pytest.raises(AttributeError, match=misspelled):
        getattr(fastapi_platform, misspelled)


def test_every_public_name_is_used_by_a_test():
    """A name that no test uses can break without anybody noticing."""
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__))
    assert [name for name in fastapi_platform.__all__ if name not in tests] == []
