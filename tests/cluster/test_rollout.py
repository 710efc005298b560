"""Rollouts under load: nobody who asks notices."""

import time
from collections.abc import Iterator

import pytest

from tests.cluster.client import Client
from tests.cluster.deploy import Stack

RATE = 100
"""Requests a second of each of the two kinds of client: 200 together."""
SECONDS = 60


@pytest.fixture(autouse=True)
def back_to_normal(stack: Stack) -> Iterator[None]:
    yield
    stack.reset()
    stack.deploy()


def test_a_rollout_costs_no_request(stack: Stack, client: Client, token: str):
    """Three in a row: a setting, another one, and back; each replaces every pod."""
    pods = pods_of(client)
    with client.load(token, rate=RATE) as load:
        began = time.monotonic()
        for level in ("WARNING", "ERROR", "INFO"):
            stack.set("service", env={"LOG_LEVEL": level})
            stack.deploy()
            assert not pods & (pods := pods_of(client)), "the rollout replaced no pod"
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    print(f"\n{load}")
    assert load.failures == []
    assert min(each["requests"] for each in (load.kept, load.closed)) > RATE * SECONDS * 0.9


def test_without_a_lame_duck_clients_that_keep_their_connection_are_cut(stack: Stack, client: Client, token: str):
    """The control: what the lame duck is for, and the proof that the test above can fail."""
    stack.set("service", process={"server": "uvicorn"})
    stack.deploy()
    with client.load(token, rate=RATE) as load:
        for level in ("WARNING", "ERROR", "INFO"):
            stack.set("service", env={"LOG_LEVEL": level})
            stack.deploy()
    print(f"\n{load}")
    assert load.kept["failures"]


def pods_of(client: Client) -> set[str]:
    """Names of the API's pods that are there and not on their way out."""
    pods = client.kubectl.get("pods", "--selector", "app.kubernetes.io/component=api")["items"]
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
