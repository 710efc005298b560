"""What the platform sets and what the app reads are the same variables."""

import ast
from dataclasses import fields

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import at, items, mapping, text
from fastapi_platform_policy.workloads import Workload
from fastapi_platform_runtime.engine import EngineSettings
from tests.conftest import ROOT, STACKS

SETTINGS = ROOT / "app-example" / "app" / "settings.py"
DATABASE = {f"DATABASE_{field.name.upper()}" for field in fields(EngineSettings)}
"""The runtime's share of the app's settings, as long as they ask it."""
LOCAL = "local"
"""The stack whose environment may leave an address or a key unset."""


def app_variables() -> set[str]:
    """Variables that the app's settings read; from the source, never imported."""
    (settings,) = (node for node in tree().body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    targets = [each.target for each in settings.body if isinstance(each, ast.AnnAssign)]
    names = {target.id.upper() for target in targets if isinstance(target, ast.Name)}
    calls = {ast.unparse(node.func) for node in ast.walk(settings) if isinstance(node, ast.Call)}
    return names - {"DATABASE"} | (DATABASE if "EngineSettings.from_environment" in calls else set())


def to_be_stated() -> set[str]:
    """Variables without which the app does not start outside a developer's machine."""
    (stated,) = (
        node.value for node in tree().body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_STATED"
    )
    return {name.upper() for name in ast.literal_eval(stated)} | {"CORS_ORIGINS", "DATABASE_URL"}


def tree() -> ast.Module:
    return ast.parse(SETTINGS.read_text())


def deployments(program: Program) -> list[Workload]:
    """The API and the workers: everything that runs the app's code all the time."""
    return [each for each in program.workloads if each.kind == "Deployment"]


def variables(program: Program, workload: Workload) -> set[str]:
    """Variables that a container gets, from its ConfigMap and from Secrets."""
    container = next(workload.containers())
    from_secrets = {text(at(entry, "name")) for entry in items(container.at("env"))}
    names = {text(at(source, "configMapRef", "name")) for source in items(container.at("envFrom"))}
    configs = [each for each in program.of_kind("ConfigMap") if each.at("metadata", "name") in names]
    return from_secrets | {key for config in configs for key in mapping(config.at("data"))}


def test_the_app_reads_settings_that_can_be_found():
    assert {"DATABASE_URL", "LOG_LEVEL", "SIGNING_KEYS"} <= app_variables()
    assert {"DATABASE_URL", "SIGNING_KEYS"} <= to_be_stated() <= app_variables()


@pytest.mark.parametrize("stack", STACKS)
def test_every_variable_that_the_platform_sets_is_read_by_the_app(stack: str, recorded_stacks: dict[str, Program]):
    """A variable that nobody reads is a setting that somebody believes in."""
    program = recorded_stacks[stack]
    for workload in deployments(program):
        assert variables(program, workload) <= app_variables(), workload.name


@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack != LOCAL])
def test_every_variable_that_the_app_wants_stated_is_set(stack: str, recorded_stacks: dict[str, Program]):
    program = recorded_stacks[stack]
    assert len(deployments(program)) == 2
    for workload in deployments(program):
        assert to_be_stated() <= variables(program, workload), workload.name


def test_on_a_developers_machine_the_address_of_the_database_is_enough(recorded_stacks: dict[str, Program]):
    (api,) = deployments(recorded_stacks[LOCAL])
    assert {"DATABASE_URL", "ENVIRONMENT"} <= variables(recorded_stacks[LOCAL], api)
