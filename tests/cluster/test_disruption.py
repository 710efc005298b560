"""Pods that have to go: nobody who asks notices, and the budget for it is kept."""

import itertools
import json
import time
from collections.abc import Iterator

import pytest

from tests.cluster.client import Client, Load
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import NAMESPACE, Kubectl, RefusedError

RATE = 100
PATIENCE_SECONDS = 300


@pytest.fixture(autouse=True)
def schedulable(kubectl: Kubectl, stack: Stack) -> Iterator[None]:
    stack.settle()
    yield
    kubectl("uncordon", "node")


def test_every_pod_of_the_service_can_be_evicted(stack: Stack, client: Client, token: str, evidence: Evidence):
    """One after the other, as an upgrade of the nodes does, each as soon as the budget allows."""
    before = client.pods()
    with evidence.of("eviction of every pod under load") as figures:
        with (
            client.load(token, rate=RATE, keep_alive=True) as kept,
            client.load(token, rate=RATE, keep_alive=False) as closed,
        ):
            refused = sum(refusals_before_eviction(stack.kubectl, pod) for pod in sorted(before))
            stack.settle()
        figures += [f"{len(before)} pods, {refused} times told to wait", str(kept), str(closed)]
        assert_unnoticed(kept, closed)
        assert refused
    assert not before & client.pods()


def test_a_drain_of_the_node_keeps_the_budget(stack: Stack, client: Client, token: str, evidence: Evidence):
    """The only node: what goes comes back nowhere, so that the drain must stop before the service does."""
    before = client.pods()
    pods = f"--pod-selector=app.kubernetes.io/component=api,app.kubernetes.io/part-of={NAMESPACE}"
    with evidence.of("drain of the only node under load") as figures:
        with (
            client.load(token, rate=RATE, keep_alive=True) as kept,
            client.load(token, rate=RATE, keep_alive=False) as closed,
        ):
            with pytest.raises(RefusedError, match="disruption budget"):
                stack.kubectl("drain", "node", "--delete-emptydir-data", pods, "--timeout=45s")
            left = before & client.pods()
            stack.kubectl("uncordon", "node")
            stack.settle()
        figures += [f"{len(left)} of {len(before)} pods kept", str(kept), str(closed)]
        assert_unnoticed(kept, closed)
        assert len(left) == len(before) - 1


def refusals_before_eviction(kubectl: Kubectl, pod: str) -> int:
    """Evict a pod, and return how often that had to wait."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    deadline = time.monotonic() + PATIENCE_SECONDS
    for refused in itertools.count():
        try:
            kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))
        except RefusedError as exc:
            if "disruption budget" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return refused
    raise AssertionError


def assert_unnoticed(*loads: Load) -> None:
    for load in loads:
        assert load.failures == [], load
        assert load.requests
