"""A cluster for the tests of this room, and the `local` stack on it.

TEST_NODE names one that `python -m tests.cluster up --name …` started, which then stays; otherwise one is started for
the run and taken away. KUBERNETES chooses the minor version.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.client import Client
from tests.cluster.deploy import NAMESPACE, Kubectl, Stack
from tests.cluster.node import Node

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
        if "REQUIRE_CLUSTER" in os.environ:
            raise
        pytest.skip(f"no cluster: {exc}")
    try:
        yield started
    finally:
        if not named:
            started.stop()


@pytest.fixture(scope="session")
def kubectl(node: Node) -> Kubectl:
    return Kubectl(str(builds.kubernetes(MINOR) / "kubectl"), node.kubeconfig)


@pytest.fixture(scope="module")
def stack(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The `local` stack, deployed; the tests of a module share it, and each leaves it as it found it."""
    stack = Stack(kubectl, tmp_path_factory.mktemp("project"))
    stack.destroy()
    try:
        stack.deploy()
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
