"""The migration gate: a release whose schema is not there leaves what serves alone, and costs nothing to mend."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.client import Client, until
from tests.cluster.deploy import DeployError, Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import Object
from tests.cluster.node import Node
from tests.cluster.releases import HEAD, Releases, revision

RATE = 40
RUNNER = ("python", "-m", "fastapi_platform_runtime.migrate")
NOTED = "ALTER TABLE orders ADD COLUMN noted text"
RENAMED = "ALTER TABLE orders RENAME COLUMN noted TO remarked"
PODS = 2
"""Not the autoscaler's choice: that it changes the Deployment would look like a deploy."""


@pytest.fixture(scope="module")
def releases(node: Node, stack: Stack) -> Releases:
    return Releases(node, stack)


@pytest.fixture(autouse=True)
def at_head(stack: Stack, client: Client, releases: Releases) -> Iterator[None]:
    """The image itself serves, on its own schema."""
    usual(stack)
    stack.deploy()
    until(lambda: len(client.pods()) == PODS, "all pods")
    yield
    releases.forget(client)


def test_a_migration_that_is_done_says_so_where_kubernetes_shows_it(stack: Stack):
    (job,) = jobs(stack)
    (pod,) = stack.kubectl.get("pods", "--selector", f"job-name={job}")["items"]
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    last = said(stack, job)[-1]
    assert (ended["exitCode"], last["outcome"], last["event"]) == (0, "done", "end")
    assert ended["message"] == last["message"]


def test_a_revision_that_fails_leaves_the_old_version_serving(
    stack: Stack, client: Client, releases: Releases, token: str, evidence: Evidence
):
    broken = revision("0009", HEAD, NOTED, "ALTER TABLE orders ALTER COLUMN missing SET NOT NULL", phase="expand")
    stack.set("service", image=releases.image("broken", {"0009": broken}))
    with evidence.of("a revision that fails, under load") as figures:
        why = refusal(stack, client, token, figures)
        assert "revision 0009" in why
        assert "it was rolled back" in why
        assert 'column \\"missing\\" of relation \\"orders\\" does not exist' in why
    stack.set("service", image=releases.image("mended", {"0009": revision("0009", HEAD, NOTED, phase="expand")}))
    assert_goes_through(stack, client)


def test_a_table_that_stays_locked_ends_the_migration_and_not_the_service(
    stack: Stack, client: Client, releases: Releases, token: str, evidence: Evidence
):
    """As a long report does: whoever writes queues behind the migration, for as long as that waits at a time."""
    stack.set("service", image=releases.image("locked", {"0009": revision("0009", HEAD, NOTED, phase="expand")}))
    stack.set("migrations", command=[*RUNNER, "--deadline", "10", "--lock-timeout", "2"])
    with evidence.of("a table that stays locked, under load") as figures:
        with client.holding("LOCK TABLE orders IN ACCESS SHARE MODE"):
            why = refusal(stack, client, token, figures)
        assert "stayed locked by another session until the deadline" in why
    assert_goes_through(stack, client)


def test_a_migration_that_hangs_is_ended_at_its_deadline(
    stack: Stack, client: Client, releases: Releases, token: str, evidence: Evidence
):
    """In a statement that would take an hour; the next deploy finds nothing of it in the way."""
    endless = revision("0009", HEAD, "SELECT pg_sleep(3600)", phase="expand")
    stack.set("service", image=releases.image("hanging", {"0009": endless}))
    stack.set("migrations", deadline_seconds=15)
    with evidence.of("a migration that hangs, under load") as figures:
        assert "DeadlineExceeded" in refusal(stack, client, token, figures)
    usual(stack)
    stack.set("service", image=releases.image("quick", {"0009": revision("0009", HEAD, NOTED, phase="expand")}))
    assert_goes_through(stack, client)


def test_of_two_migrations_at_once_one_works_and_one_waits(stack: Stack, client: Client, releases: Releases):
    """Both are there before the first may end."""
    waits = revision("0009", HEAD, "SELECT pg_advisory_xact_lock(1)", NOTED, phase="expand")
    stack.set("service", image=releases.image("twice", {"0009": waits}))
    (job,) = (each for each in stack.rendered() if each["kind"] == "Job")
    releases.mount(job)
    names = ["first", "second"]
    with client.holding("SELECT pg_advisory_lock(1)"):
        for name in names:
            stack.kubectl.apply(named(job, name))
        until(lambda: len(sessions(stack, client, names)) == len(names), "both to reach the database", seconds=60)
    stack.kubectl("wait", *(f"job/{name}" for name in names), "--for=condition=Complete", "--timeout=120s")
    ends = sorted(said(stack, name)[-1]["message"] for name in names)
    waited = [line["event"] for name in names for line in said(stack, name) if line["event"] == "waited"]
    stack.kubectl("delete", "job", *names)
    assert ends == ["applied 1 revision: the database is at 0009", "nothing to do: the database is at 0009"]
    assert waited == ["waited"]


def test_an_older_image_is_let_back_onto_a_schema_that_says_it_may(
    stack: Stack, client: Client, releases: Releases, token: str, evidence: Evidence
):
    contract = revision("0009", HEAD, NOTED, phase="contract", oldest_compatible=HEAD)
    before = template(stack)
    stack.set("service", image=releases.image("newer", {"0009": contract}))
    stack.deploy()
    stack.set("service", image="app-example:dev")
    with evidence.of("back to the image before, under load") as figures:
        with client.load(token, rate=RATE, keep_alive=True) as load:
            stack.deploy()
        figures.append(str(load))
        assert load.failures == []
    assert template(stack) == before
    assert f"images from {HEAD} on may run on it" in said(stack, jobs(stack)[-1])[-1]["message"]


def test_an_older_image_is_refused_by_a_schema_that_it_would_not_understand(
    stack: Stack, client: Client, releases: Releases, token: str, evidence: Evidence
):
    revisions = {
        "0009": revision("0009", HEAD, NOTED, phase="expand"),
        "0010": revision("0010", "0009", RENAMED),
    }
    stack.set("service", image=releases.image("newest", revisions))
    stack.deploy()
    stack.set("service", image="app-example:dev")
    with evidence.of("back to an image that the schema excludes, under load") as figures:
        assert "only images that contain 0010 may run on it" in refusal(stack, client, token, figures)
    client.psql("ALTER TABLE orders RENAME COLUMN remarked TO noted")


def usual(stack: Stack) -> None:
    stack.reset()
    stack.pods = PODS
    stack.set("service", rollout={"min_ready_seconds": 1})


def refusal(stack: Stack, client: Client, token: str, figures: list[str]) -> str:
    """Return why a deploy ends, and assert that it changes neither the pods nor what they answer."""
    before = generation(stack), client.pods()
    with client.load(token, rate=RATE, keep_alive=True) as load, pytest.raises(DeployError) as error:
        stack.deploy()
    figures.append(str(load))
    assert client.serves()
    assert (generation(stack), client.pods()) == before
    assert load.failures == []
    return str(error.value)


def assert_goes_through(stack: Stack, client: Client) -> None:
    """Assert that a deploy replaces all pods, by a release whose revision was applied."""
    before = client.pods()
    stack.deploy()
    assert not before & client.pods()
    assert client.psql("SELECT version_num FROM alembic_version") == "0009"


def generation(stack: Stack) -> int:
    return stack.kubectl.get("deployment", "orders")["metadata"]["generation"]


def template(stack: Stack) -> Object:
    return stack.kubectl.get("deployment", "orders")["spec"]["template"]


def jobs(stack: Stack) -> list[str]:
    return [name for kind, name in stack.applied if kind == "Job"]


def said(stack: Stack, job: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.kubectl("logs", f"job/{job}").splitlines()]


def named(job: Object, name: str) -> Object:
    return {**copy.deepcopy(job), "metadata": {**job["metadata"], "name": name}}


def sessions(stack: Stack, client: Client, names: list[str]) -> set[str]:
    """Return the addresses of these Jobs' pods that have a session in the database."""
    pods = stack.kubectl.get("pods", "--selector", f"job-name in ({','.join(names)})")["items"]
    found = set(client.psql("SELECT DISTINCT client_addr FROM pg_stat_activity").split())
    return found & {pod["status"].get("podIP") for pod in pods}
