"""What the platform sets and what the app reads are the same variables."""

import ast

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import at, items, mapping, text
from tests.conftest import ROOT, STACKS

SETTINGS = ROOT / "app-example" / "app" / "settings.py"


def app_variables() -> dict[str, bool]:
    """Variables that the app's settings read, with whether each is required; read from the source, never imported."""
    tree = ast.parse(SETTINGS.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")]
    fields = [statement for each in classes for statement in each.body if isinstance(statement, ast.AnnAssign)]
    return {field.target.id.upper(): field.value is None for field in fields if isinstance(field.target, ast.Name)}


def platform_variables(program: Program) -> set[str]:
    """Variables that the API's container gets, from its ConfigMap and from Secrets."""
    api = next(each for each in program.workloads if each.kind == "Deployment")
    container = next(api.containers())
    from_secrets = {text(at(entry, "name")) for entry in items(container.at("env"))}
    names = {text(at(source, "configMapRef", "name")) for source in items(container.at("envFrom"))}
    configs = [each for each in program.of_kind("ConfigMap") if each.at("metadata", "name") in names]
    return from_secrets | {key for config in configs for key in mapping(config.at("data"))}


def test_the_app_reads_settings_that_can_be_found():
    variables = app_variables()
    assert variables["DATABASE_URL"]
    assert not variables["LOG_LEVEL"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_variable_that_the_platform_sets_is_read_by_the_app(stack: str, recorded_stacks: dict[str, Program]):
    """A variable that nobody reads is a setting that somebody believes in."""
    assert platform_variables(recorded_stacks[stack]) <= set(app_variables())


@pytest.mark.parametrize("stack", STACKS)
def test_every_variable_that_the_app_requires_is_set(stack: str, recorded_stacks: dict[str, Program]):
    required = {name for name, is_required in app_variables().items() if is_required}
    assert required <= platform_variables(recorded_stacks[stack])
