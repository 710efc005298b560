"""Rollouts under load: nobody who asks notices, on whichever connections, with answers that stream meanwhile."""

import time

import pytest

from tests.cluster.client import Client
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import Object
from tests.cluster.node import Node

RATE = 220
"""Requests a second; 200 are wanted on average."""
SECONDS = 60
STREAMS = 2
"""As many as one user may have of a pod."""
NEXT_IMAGE = "app-example:next"
SECRET = {"PAYMENTS_API_KEY": {"name": "orders-payments", "key": "api-key"}}


@pytest.fixture(autouse=True)
def normal_settings(stack: Stack) -> None:
    stack.reset()


@pytest.fixture
def releases(node: Node, stack: Stack) -> list[Object]:
    """Settings of the service for three rollouts: another setting, another version of a secret, another image."""
    node.tag_image("docker.io/library/app-example:dev", f"docker.io/library/{NEXT_IMAGE}")
    stack.kubectl("create", "secret", "generic", "orders-payments", "--from-literal=api-key=canary", check=False)
    rotated = {name: {**key, "version": "2"} for name, key in SECRET.items()}
    first, second = {"LOG_LEVEL": "WARNING"}, {"LOG_LEVEL": "WARNING", "CACHE_TTL_SECONDS": "31"}
    return [{"env": first, "secrets": SECRET}, {"env": first, "secrets": rotated}, {"env": second, "image": NEXT_IMAGE}]


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "closed"])
def test_a_rollout_costs_no_request(
    *,
    keep_alive: bool,
    releases: list[Object],
    stack: Stack,
    client: Client,
    token: str,
    model: dict[str, str],
    evidence: Evidence,
):
    stack.set("service", env=model)
    stack.deploy()
    how = "connections kept" if keep_alive else "new connections"
    with evidence.of(f"three rollouts under load, {how}") as figures:
        with client.load(token, rate=RATE, keep_alive=keep_alive, streams=STREAMS) as load:
            began = time.monotonic()
            for release in releases:
                before = client.pods()
                stack.set("service", **{**release, "env": {**release["env"], **model}})
                stack.deploy()
                assert not before & client.pods(), "the rollout replaced no pod"
            time.sleep(max(0.0, began + SECONDS - time.monotonic()))
        figures.append(str(load))
        assert load.failures == []
        assert load.figures["answered"]["stream 200"] > STREAMS
        assert load.requests >= 200 * SECONDS


def test_without_a_lame_duck_clients_that_keep_their_connection_are_cut(stack: Stack, client: Client, token: str):
    """The control: what the lame duck is for, and the proof that the test above can fail."""
    stack.set("service", process={"server": "uvicorn"})
    assert failures_of_rollouts(stack, client, token, keep_alive=True)


def test_without_a_pre_stop_sleep_new_connections_are_refused(stack: Stack, client: Client, token: str):
    """The control: endpoints take a moment to lose a pod that has ended already."""

    def without_pre_stop(each: Object) -> None:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            del container["lifecycle"]
            at = container["command"].index("--lame-duck") + 1
            container["command"][at] = "0"

    stack.break_object = without_pre_stop
    assert failures_of_rollouts(stack, client, token, keep_alive=False)


def failures_of_rollouts(stack: Stack, client: Client, token: str, *, keep_alive: bool) -> list[str]:
    """What goes wrong while every pod is replaced, which is repeated until something does."""
    stack.deploy()
    for level in ("WARNING", "ERROR", "WARNING", "ERROR"):
        with client.load(token, rate=RATE, keep_alive=keep_alive) as load:
            stack.set("service", env={"LOG_LEVEL": level})
            stack.deploy()
        print(f"\n{load}\n{load.failures[:5]}")
        if load.failures:
            return load.failures
    return []
