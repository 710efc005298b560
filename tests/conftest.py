"""What tests of several rooms share: recording a component or a whole stack in this process."""

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import settings as hypothesis_settings
from settings import decoded, parse
from stack import build

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Record
from fastapi_platform_policy.sources import from_states
from fastapi_platform_preview import project, stack_config
from fastapi_platform_preview.recorder import Deployment, Recording
from fastapi_platform_preview.recorder import record as run

# The SDKs' modules are half a million objects that stay: collecting them again and again takes a fifth of the run.
gc.set_threshold(200_000, 50, 50)
# Machines are shared: no test fails on a clock. HYPOTHESIS_PROFILE=thorough looks further, and takes longer.
hypothesis_settings.register_profile("quick", deadline=None, max_examples=30)
hypothesis_settings.register_profile("thorough", deadline=None, max_examples=500)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

ROOT = Path(__file__).parents[1]
STACKS = ("dev", "local", "prod")
EVERYTHING = "everything"
"""A stack that uses every section; the tests' own."""
DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.example/orders@{DIGEST}"


@dataclass(frozen=True)
class OutputFact:
    """What is known about one output of a component before anything is deployed."""

    value: Any
    known: bool
    secret: bool
    resources: frozenset[str] = field(default_factory=frozenset[str])
    """Type tokens of the resources it waits for."""

    def depends_on(self, type_token: str) -> bool:
        return type_token in self.resources


_RECORDED: dict[str, tuple[Record, ...]] = {}


class Recorder:
    """Builds one component in a program of its own and returns what it registered."""

    def program(self, build_it: Callable[[], Any]) -> tuple[Record, ...]:
        return from_states(self.recording(build_it).states)

    def recording(self, build_it: Callable[[], Any], **deployment: Any) -> Recording:
        arguments: dict[str, Any] = {"project": "tests", "stack": "test"}
        return run(build_it, Deployment(**arguments | deployment))

    def all(self, component: type[pulumi.ComponentResource], args: object) -> tuple[Record, ...]:
        """Records of one component; the same arguments are recorded once, because a recording has no other inputs."""
        key = f"{component.__name__} {args!r}"
        if key not in _RECORDED:
            _RECORDED[key] = self.program(lambda: _made(component, args) and None)
        return _RECORDED[key]

    def one(self, type_token: str, component: type[pulumi.ComponentResource], args: object) -> Record:
        found = [record for record in self.all(component, args) if record.type == type_token]
        assert len(found) == 1, f"{len(found)} records of type {type_token}"
        return found[0]

    def outputs(self, component: type[pulumi.ComponentResource], args: object) -> dict[str, OutputFact]:
        facts: dict[str, OutputFact] = {}

        async def main() -> None:
            made = _made(component, args)
            for name in component.__annotations__:
                facts[name] = await _fact(getattr(made, name))

        self.recording(main)
        return facts


def _made(component: type[pulumi.ComponentResource], args: object) -> pulumi.ComponentResource:
    make: Any = component
    return make("it", args)


async def _fact(output: pulumi.Output[Any]) -> OutputFact:
    return OutputFact(
        value=await output.future(),
        known=await output.is_known(),
        secret=await output.is_secret(),
        resources=frozenset(resource.pulumi_resource_type for resource in await output.resources()),
    )


@pytest.fixture
def record() -> Recorder:
    return Recorder()


def stack_settings(stack: str) -> dict[str, Any]:
    """The settings of a stack, as the program gets them."""
    here = project.find(ROOT)
    if stack == EVERYTHING:
        here = replace(here, stack_directory=ROOT / "tests")
    values = stack_config.load(here, stack).values
    own = {key.partition(":")[2]: value for key, value in values.items() if key.startswith(f"{here.name}:")}
    return {key: decoded(value) for key, value in own.items()}


def changed(settings: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of settings with another value at a dotted path."""
    head, _, rest = path.partition(".")
    inner = changed(settings.get(head, {}), rest, value) if rest else value
    return {**settings, head: inner}


def stack_records(settings: dict[str, Any], stack: str = "test") -> tuple[Record, ...]:
    """Records of the whole program for some settings; the same settings are recorded once."""
    key = f"{stack} {settings!r}"
    if key not in _RECORDED:
        built = parse(settings)
        recording = run(lambda: build(built) and None, Deployment(project="fastapi-platform", stack=stack))
        _RECORDED[key] = from_states(recording.states)
    return _RECORDED[key]


@pytest.fixture(scope="session")
def recorded_stacks() -> dict[str, Program]:
    """The project's own stacks and the tests', recorded once."""
    return {stack: Program(stack_records(stack_settings(stack), stack)) for stack in (*STACKS, EVERYTHING)}


def of_type(records: Sequence[Record], suffix: str) -> list[Record]:
    """Records whose type token ends with a suffix such as `:Deployment`."""
    return [record for record in records if record.type.endswith(suffix)]
