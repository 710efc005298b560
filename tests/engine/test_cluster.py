"""The `local` stack on a cluster, through the real engine: created, broken, mended, gone.

TEST_CLUSTER names a kubeconfig with the context `kind-fastapi-platform`, a default StorageClass, and the image
`app-example:dev` on its nodes: the README's first deploy up to `make up`. Nothing is deployed anywhere else.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import Engine

CLUSTER = os.environ.get("TEST_CLUSTER")
CONTEXT = "kind-fastapi-platform"
READY = "/api/v1/namespaces/orders/services/orders:80/proxy/healthz/ready"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.engine,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.skipif(not CLUSTER, reason="needs a cluster: TEST_CLUSTER=<kubeconfig>, see this file"),
    *(pytest.mark.skipif(shutil.which(tool) is None, reason=f"needs {tool}") for tool in ("pulumi", "uv", "kubectl")),
]


def kubectl(*arguments: str) -> str:
    command = ("kubectl", "--kubeconfig", str(CLUSTER), "--context", CONTEXT, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def generation() -> str:
    """Changes with every change of the Deployment's spec."""
    path = "jsonpath={.metadata.generation}"
    return kubectl("get", "deployment", "orders", "--namespace", "orders", "--output", path)


def serves() -> bool:
    return kubectl("get", "--raw", READY) == '{"status":"ok"}'


class Stack:
    """The `local` stack, deployed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._engine.run("stack", "init", "local")
        self._file = engine.project / "Pulumi.local.yaml"
        self._base = self._file.read_text()

    def set(self, path: str, value: str) -> None:
        self._engine.run("config", "set", "--stack", "local", "--path", path, value)

    def reset(self) -> None:
        """The settings as they were at first."""
        self._file.write_text(self._base)

    def up(self) -> str:
        """What a deploy prints that succeeds."""
        done = self._engine.run("up", "--yes", "--stack", "local")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def failing_up(self) -> str:
        """What a deploy prints that fails."""
        done = self._engine.run("up", "--yes", "--stack", "local")
        assert done.returncode != 0, done.stdout
        return done.stdout

    def unchanged(self) -> bool:
        return self._engine.run("preview", "--expect-no-changes", "--stack", "local").returncode == 0

    def destroy(self) -> None:
        done = self._engine.run("destroy", "--yes", "--stack", "local")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, workspace: Path) -> Iterator[Stack]:
    deployed = Stack(Engine(tmp_path_factory.mktemp("cluster") / "home", workspace, Path(str(CLUSTER))))
    try:
        deployed.up()
        yield deployed
    finally:
        deployed.reset()
        deployed.destroy()
    assert "orders" not in kubectl("get", "namespaces", "--output", "name")


@pytest.fixture(autouse=True)
def back_to_normal(stack: Stack) -> Iterator[None]:
    """Whatever a test broke is mended by the same two steps: the old settings, and `up`."""
    yield
    stack.reset()
    stack.up()
    assert serves()


def test_it_serves_and_a_second_deploy_changes_nothing(stack: Stack):
    assert serves()
    assert stack.unchanged()


def test_a_failed_migration_leaves_the_old_version_serving(stack: Stack):
    """The gate: nothing behind it is touched, and the reason is on the screen."""
    before = generation()
    stack.set("migrations.command[2]", "nosuch")
    stack.set("service.env.LOG_LEVEL", "DEBUG")
    assert "Can't locate revision identified by 'nosuch'" in stack.failing_up()
    assert serves()
    after = generation()
    assert after == before


def test_a_failed_rollout_can_be_taken_back(stack: Stack):
    """The settings of the old pods are still there when they are wanted again."""
    stack.set("service.rollout.progress_deadline_seconds", "70")
    stack.set("service.env.LOG_LEVEL", "nonsense")
    assert "cannot start: LOG_LEVEL" in stack.failing_up()
    assert serves()
    stack.reset()
    stack.up()
    assert serves()
    assert stack.unchanged()
    settings = kubectl("get", "configmaps", "--namespace", "orders", "--output", "name").split()
    assert len([name for name in settings if name.startswith("configmap/orders-config-")]) == 1


def test_a_release_goes_back_behind_the_newest_migration(stack: Stack):
    """An older image does not know the revision of the database; without the gate it still serves."""
    statement = "update alembic_version set version_num = '{}'"
    known = database("select version_num from alembic_version").strip()
    database(statement.format("later"))
    try:
        stack.set("migrations.command[2]", "heads")
        assert "Can't locate revision identified by 'later'" in stack.failing_up()
        stack.set("migrations.mode", "skip")
        stack.up()
        assert serves()
    finally:
        database(statement.format(known))


def database(statement: str) -> str:
    command = ("psql", "--username", "orders", "--tuples-only", "--no-align", "--command", statement)
    return kubectl("exec", "--namespace", "orders", "orders-database-0", "--", *command)
