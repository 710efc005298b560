"""A cluster for the engine: the one that TEST_CLUSTER=<kubeconfig> names, or a node of `tests.cluster`.

The kubeconfig has the context `kind-fastapi-platform`; its cluster a default StorageClass, and the image
`app-example:dev` on its nodes: the README's first deploy up to `make up`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.kubectl import NAMESPACE, Kubectl
from tests.cluster.node import Node
from tests.e2e.deployment import Deployment
from tests.e2e.wire import Wire

NAMED = os.environ.get("TEST_NODE")
TOOLS = {"pulumi": "https://www.pulumi.com/docs/install/", "uv": "https://docs.astral.sh/uv/"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    for tool, source in TOOLS.items():
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: {source}")
    if given := os.environ.get("TEST_CLUSTER"):
        yield Kubectl("kubectl", Path(given))
        return
    node = Node(NAMED or f"e2e-{os.getpid()}")
    minor = builds.MINORS[-1]
    try:
        node.start(minor)
    except builds.NotPossibleError as exc:
        pytest.skip(f"no cluster: {exc}")
    try:
        yield Kubectl(str(builds.kubernetes(minor) / "kubectl"), node.kubeconfig)
    finally:
        if not NAMED:
            node.stop()


@pytest.fixture(scope="module")
def wire(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    wire = Wire(kubectl.kubeconfig, tmp_path_factory.mktemp("wire") / "kubeconfig")
    yield wire
    wire.close()


@pytest.fixture(scope="module")
def deployment(kubectl: Kubectl, wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The `local` stack, deployed; nothing of it is left afterwards."""
    deployment = Deployment(tmp_path_factory.mktemp("engine"), wire.kubeconfig, kubectl.program)
    try:
        deployment.up()
        yield deployment
    finally:
        wire.mend()
        deployment.reset()
        deployment.destroy()
    assert f"namespace/{NAMESPACE}" not in kubectl("get", "namespaces", "--output", "name").split()
