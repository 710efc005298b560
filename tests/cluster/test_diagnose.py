"""Each fault on a real cluster: the old version serves, and one screen names the cause."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.client import Client
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import Object
from tests.cluster.node import Node
from tests.conftest import ROOT

PATIENCE_SECONDS = 300
"""For a machine that does other things too; a minute is promised, and the figure tells."""
SCREEN_LINES = 24
NO_KEY = {"EXTRA": {"name": "orders-database", "key": "nosuch"}}


def image(stack: Stack) -> None:
    stack.set("migrations", mode="skip")
    stack.set("service", image="app-example:nosuch")


def quota(stack: Stack) -> None:
    stack.kubectl("create", "quota", "few", "--hard=pods=3")
    stack.set("service", env={"LOG_LEVEL": "WARNING"})


def settings(stack: Stack) -> None:
    def another_config_map(each: Object) -> None:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            container["envFrom"][0]["configMapRef"]["name"] = "orders-config-gone"

    stack.break_object = another_config_map


FAULTS: dict[str, tuple[Callable[[Stack], object], str]] = {
    "image": (image, "the image cannot be pulled: app-example:nosuch"),
    "crash": (lambda stack: stack.set("service", env={"LOG_LEVEL": "nonsense"}), "cannot start: LOG_LEVEL"),
    "ready": (lambda stack: stack.set("service", probes={"readiness_path": "/nosuch"}), "never ready: /nosuch"),
    "secret": (lambda stack: stack.set("service", secrets=NO_KEY), "Secret orders-database has no key nosuch"),
    "settings": (settings, "ConfigMap orders-config-gone does not exist"),
    "memory": (lambda stack: stack.set("service", resources={"memory": "32Mi"}), "out of memory"),
    "quota": (quota, "out of quota"),
    "migration": (
        lambda stack: stack.set("migrations", command=["alembic", "upgrade", "nosuch"]),
        "Can't locate revision identified by 'nosuch'",
    ),
    "hanging migration": (
        lambda stack: stack.set("migrations", command=["sleep", "1000"], deadline_seconds=10),
        "did not end within its deadline of 10 s",
    ),
}


@pytest.fixture(autouse=True)
def mended(stack: Stack) -> Iterator[None]:
    yield
    stack.kubectl("delete", "quota", "few", "--ignore-not-found")
    stack.reset()
    stack.deploy()
    stack.settle()


def diagnose(stack: Stack, node: Node) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(stack.kubectl.program).parent}:{os.environ['PATH']}"
    command = (str(ROOT / ".venv/bin/fastapi-platform"), "diagnose", stack.name, "--cwd", str(stack.folder))
    environment = os.environ | {"KUBECONFIG": str(node.kubeconfig), "PATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_stack_that_is_well_has_no_fault(stack: Stack, node: Node):
    """Its own pods are known for its own, with all defaults that the API server has added."""
    done = diagnose(stack, node)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deployment orders: serves, 2 of 2 pods of app-example:dev" in done.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_on_one_screen_and_the_old_version_serves(
    fault: str, stack: Stack, node: Node, client: Client, evidence: Evidence
):
    break_it, cause = FAULTS[fault]
    break_it(stack)
    with evidence.of(f"diagnose, {fault}") as figures:
        began = time.monotonic()
        stack.begin()
        while (done := diagnose(stack, node)).returncode != 1 or cause not in done.stdout:
            assert time.monotonic() - began < PATIENCE_SECONDS, done.stdout + done.stderr
        figures.append(f"the cause after {time.monotonic() - began:.0f} s")
    assert len(done.stdout.splitlines()) <= SCREEN_LINES
    assert "serves, 2 of 2 pods of app-example:dev" in done.stdout
    assert client.serves()
