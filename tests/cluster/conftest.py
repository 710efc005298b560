"""A cluster for the tests of this room.

TEST_NODE names one that `python -m tests.cluster up --name …` started, which then stays; otherwise one is started for
the run and taken away. KUBERNETES chooses the minor version.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.kubectl import Kubectl
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
