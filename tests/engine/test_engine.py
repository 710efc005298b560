"""The real engine, where there is one: it must see what the recorder saw, and judge as the preview judges.

Nothing is deployed to a cluster: previews need none, and the one `up` renders its manifests into a folder.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Value
from fastapi_platform_policy.sources import from_export, from_preview
from tests.conftest import EVERYTHING, STACKS
from tests.engine.conftest import Engine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="needs pulumi: https://www.pulumi.com/docs/install/"),
    pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv: https://docs.astral.sh/uv/"),
]


def pruned(value: Value) -> Any:
    """A value without what says nothing: the provider drops empty mappings and lists."""
    if isinstance(value, dict):
        inner = {key: pruned(child) for key, child in value.items()}
        return {key: child for key, child in inner.items() if child not in ({}, [], None)}
    return [pruned(child) for child in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stack", [*STACKS, EVERYTHING])
def test_the_engine_sees_what_the_recorder_saw(stack: str, engine: Engine, recorded_stacks: dict[str, Program]):
    engine.run("stack", "init", stack)
    previewed = {record.urn: record for record in from_preview(engine.json("preview", "--stack", stack, "--json"))}
    recorded = recorded_stacks[stack].by_urn
    assert set(previewed) == set(recorded)
    for urn, record in recorded.items():
        seen = previewed[urn]
        assert (seen.parent, seen.dependencies, seen.protect) == (record.parent, record.dependencies, record.protect)
        if not record.type.startswith("pulumi:providers:"):
            assert pruned(dict(seen.inputs)) == pruned(dict(record.inputs)), urn


def test_the_engine_prints_the_mistakes_of_a_stack_file_without_a_traceback(engine: Engine):
    shutil.copy(engine.project / "Pulumi.local.yaml", engine.project / "Pulumi.broken.yaml")
    engine.run("stack", "init", "broken")
    engine.run("config", "set", "--stack", "broken", "--path", "service.prot", "1")
    engine.run("config", "set", "--stack", "broken", "--path", "service.image", "orders:latest")
    done = engine.run("preview", "--stack", "broken")
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "service.prot: got an unknown key" in shown
    assert "service.image: got orders:latest" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("stack", [*STACKS, EVERYTHING])
def test_the_pack_lets_our_stacks_through(stack: str, engine: Engine):
    engine.run("stack", "init", stack)
    done = engine.run("preview", "--stack", stack, "--policy-pack", str(engine.project / "policy"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fastapi-platform@v0.1.0" in done.stdout
    assert "[mandatory]" not in done.stdout


BAD_PROGRAM = """
import pulumi, pulumi_kubernetes as k8s
cluster = k8s.Provider("cluster", render_yaml_to_directory="rendered")
labels = {"app": "shop"}
k8s.apps.v1.Deployment(
    "shop",
    metadata={"name": "shop", "namespace": "shop"},
    spec={
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "shop", "image": "shop:latest"}]},
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)
"""


@pytest.fixture
def bad(tmp_path: Path, workspace: Path) -> Engine:
    """The engine in a project of raw resources that break many rules; its provider writes files, it deploys nothing."""
    project = workspace / tmp_path.name
    project.mkdir()
    runtime = {"name": "python", "options": {"toolchain": "uv"}}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "bad", "runtime": runtime}))
    (project / "__main__.py").write_text(BAD_PROGRAM)
    made = Engine(tmp_path / "home", project)
    made.run("stack", "init", "dev")
    return made


def test_the_pack_stops_a_bad_program_before_it_is_deployed(bad: Engine):
    done = bad.run("up", "--yes", "--stack", "dev", "--policy-pack", str(bad.project.parent / "policy"))
    assert done.returncode != 0
    for rule in ("images-by-digest", "pods-restricted", "resources-sized", "identity-per-workload"):
        assert re.search(rf"\[mandatory\].* {rule} ", done.stdout), rule
    assert not list((bad.project / "rendered").rglob("*deployment*"))


def test_an_exported_state_is_judged_by_the_same_rules(bad: Engine, tmp_path: Path):
    """What was deployed before the rules came is found without deploying it again."""
    deployed = bad.run("up", "--yes", "--stack", "dev")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    state = bad.json("stack", "export", "--stack", "dev")
    assert [record.type for record in from_export(state)] == [
        "kubernetes:apps/v1:Deployment", "pulumi:providers:kubernetes",
    ]  # fmt: skip
    (tmp_path / "state.json").write_text(json.dumps(state))
    pack = str(bad.project.parent / "policy")
    done = bad.run("policy", "analyze", "--file", str(tmp_path / "state.json"), "--policy-pack", pack)
    assert done.returncode != 0
    assert "images-by-digest" in done.stdout
    assert "pods-restricted" in done.stdout
