"""A cluster for the tests of this room, and the `local` stack on it.

TEST_NODE names one that `python -m tests.cluster up --name …` started, which then stays; otherwise one is started for
the run and taken away. KUBERNETES chooses the minor version.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.client import Client
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import NAMESPACE, Kubectl
from tests.cluster.node import Node

MODEL_PORT = 18000
MINOR = os.environ.get("KUBERNETES", builds.MINORS[-1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    named = os.environ.get("TEST_NODE")
    started = Node(named or f"tests-{os.getpid()}")
    try:
        started.start(MINOR)
    except builds.NotPossibleError as exc:
        pytest.skip(f"no cluster: {exc}")
    try:
        yield started
    finally:
        if not named:
            started.stop()


@pytest.fixture(scope="session")
def kubectl(node: Node) -> Kubectl:
    return Kubectl(str(builds.kubernetes(MINOR) / "kubectl"), node.kubeconfig)


@pytest.fixture(scope="session")
def evidence() -> Iterator[Evidence]:
    """What the tests saw; EVIDENCE=FOLDER asks for a page of it."""
    seen = Evidence()
    yield seen
    if folder := os.environ.get("EVIDENCE"):
        seen.write(Path(folder), MINOR)


@pytest.fixture(scope="module")
def stack(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The `local` stack, deployed; the tests of a module share it, and each leaves it as it found it."""
    stack = Stack(kubectl, tmp_path_factory.mktemp("project"))
    stack.destroy()
    try:
        stack.deploy()
        stack.settle()
        yield stack
    finally:
        stack.destroy()
    assert NAMESPACE not in {each["metadata"]["name"] for each in kubectl.get("namespaces")["items"]}


@pytest.fixture(scope="module")
def client(node: Node, kubectl: Kubectl, stack: Stack) -> Client:
    return Client(node, kubectl)


@pytest.fixture(scope="module")
def token(client: Client) -> str:
    """Of an account that may order what there is."""
    client.store_product()
    return client.sign_in("load@example.com")


@pytest.fixture(scope="module")
def model(node: Node) -> Iterator[dict[str, str]]:
    """A language model in the network of the node, as the settings of a service that asks it."""
    command = [*node.enter_network(), sys.executable, str(Path(__file__).parent / "model.py"), str(MODEL_PORT)]
    with subprocess.Popen(command) as running:
        try:
            yield {"MODEL_URL": f"http://{node.address}:{MODEL_PORT}/v1"}
        finally:
            running.terminate()
