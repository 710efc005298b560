"""What the service relies on goes away and comes back: an outage of that, and of nothing else.

Asked on connections that clients keep: once no pod is ready Kubernetes refuses new ones, and that takes as long as the
readiness probe is told to be patient.
"""

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import servers
from tests.cluster.client import Client, until
from tests.cluster.deploy import Stack
from tests.cluster.evidence import Evidence
from tests.cluster.kubectl import Kubectl, Object

RATE = 40
PODS = 2
RECOVERY_SECONDS = 120
"""Longest until all is well again; the slowest here, a pooler, needs a quarter of it."""
DATABASE = "orders-database-0"
WELL: Object = {"status": "ok"}
DEGRADED: Object = {"status": "ok", "degraded": ["redis"]}
Away = Callable[[Kubectl], None]
"""Ends a server, and returns when it is back."""


def deleted(kubectl: Kubectl) -> None:
    """As when its node is drained: Postgres may shut down."""
    back_after(kubectl, "orders-database", "delete", "pod", DATABASE)


def crashed(kubectl: Kubectl) -> None:
    """At once, without a word to its clients; the same pod starts it again."""
    back_after(kubectl, "orders-database", "exec", DATABASE, "--", "bash", "-c", "kill -QUIT 1")


@pytest.fixture(autouse=True)
def few_pods(stack: Stack) -> Iterator[None]:
    stack.reset()
    stack.pods = PODS
    stack.set("service", rollout={"min_ready_seconds": 1})
    yield
    stack.reset()


@pytest.mark.parametrize("away", [deleted, crashed])
def test_a_postgres_that_ends_is_an_outage_and_no_more(
    away: Away, stack: Stack, client: Client, token: str, evidence: Evidence
):
    stack.deploy()
    with evidence.of(f"Postgres {away.__name__}, under load") as figures:
        assert_outage(client, token, away, figures)


def test_nobody_gets_an_error_while_redis_is_away(stack: Stack, client: Client, token: str, evidence: Evidence):
    add(stack, servers.redis())
    address = {"REDIS_URL": {"name": servers.REDIS, "key": "address"}}
    stack.set("service", secrets=address, egress=servers.egress(servers.REDIS, servers.REDIS_PORT))
    stack.deploy()
    before = restarts(client)
    with evidence.of("Redis away and back, under load") as figures:
        with client.load(token, rate=RATE, keep_alive=True) as load:
            until(lambda: all_say(client, WELL), "a service with Redis")
            scale(client.kubectl, servers.REDIS, 0)
            degraded = until(lambda: all_say(client, DEGRADED), "a service without Redis")
            time.sleep(5)
            scale(client.kubectl, servers.REDIS, 1)
            well = until(lambda: all_say(client, WELL), "a service with Redis", RECOVERY_SECONDS)
        figures += [str(load), f"degraded after {degraded:.1f} s, well {well:.1f} s after it was back"]
        assert load.failures == []
        assert restarts(client) == before


@pytest.fixture
def pooled(stack: Stack, client: Client) -> str:
    """The service reaches Postgres through a PgBouncer; Debian's tracks no prepared statements. Gives a token."""
    add(stack, servers.pgbouncer(servers.password(stack.kubectl)))
    untracked = {"DATABASE_POOLER_PREPARED_STATEMENTS": "0", "DATABASE_STATEMENT_CACHE_SIZE": "0"}
    stack.set("service", env=untracked, egress=servers.egress(servers.PGBOUNCER, servers.PGBOUNCER_PORT))

    def through_pooler(each: Object) -> None:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            (address,) = (env for env in container["env"] if env["name"] == "DATABASE_URL")
            address["valueFrom"] = {"secretKeyRef": {"name": servers.PGBOUNCER, "key": "address"}}

    stack.break_object = through_pooler
    stack.deploy()
    client.store_product()
    return client.sign_in(f"{secrets.token_hex(4)}@example.com")


def test_a_pgbouncer_that_restarts_is_an_outage_and_no_more(client: Client, pooled: str, evidence: Evidence):
    def restarted(kubectl: Kubectl) -> None:
        back_after(kubectl, servers.PGBOUNCER, "delete", "pod", "--selector", f"{servers.LABEL}={servers.PGBOUNCER}")

    with evidence.of("PgBouncer restarted, under load") as figures:
        assert_outage(client, pooled, restarted, figures)


@pytest.mark.parametrize("away", [deleted, crashed])
def test_a_postgres_that_ends_behind_pgbouncer_is_an_outage_and_no_more(
    away: Away, client: Client, pooled: str, evidence: Evidence
):
    with evidence.of(f"Postgres {away.__name__} behind PgBouncer, under load") as figures:
        assert_outage(client, pooled, away, figures)


def assert_outage(client: Client, token: str, away: Away, figures: list[str]) -> None:
    """Assert that requests are told to come later while something is away, and nothing else happens to anybody."""
    before = restarts(client)
    with client.load(token, rate=RATE, keep_alive=True) as load:
        until(lambda: all_say(client, WELL), "a service that is well")
        began = time.time()
        away(client.kubectl)
        back = time.time() - began
        until(lambda: all_say(client, WELL), "a service that is well again", RECOVERY_SECONDS)
        well = time.time() - began
    with client.load(token, rate=RATE, keep_alive=False) as afterwards:
        time.sleep(5)
    told = [float(each.split()[0]) - began for each in load.failures]
    when = f"503 from {min(told):.1f} s until {max(told):.1f} s after its end" if told else "everybody was answered"
    figures += [str(load), when, f"it was ready after {back:.1f} s, all pods after {well:.1f} s"]
    assert load.outcomes <= {"503"}
    assert afterwards.failures == []
    assert afterwards.requests
    assert restarts(client) == before


def restarts(client: Client) -> dict[str, int]:
    """Return how often each pod of the service was started again."""
    return {pod["metadata"]["name"]: container(pod)["restartCount"] for pod in pods(client)}


def pods(client: Client) -> list[Object]:
    return found_pods(client.kubectl, "app.kubernetes.io/component=api")


def all_say(client: Client, wanted: Object) -> bool:
    """Whether every pod says this to its readiness probe, and Kubernetes has heard it."""
    found = pods(client)
    return len(found) == PODS and all(
        container(pod)["ready"] and said_ready(client, pod["status"]["podIP"]) == wanted for pod in found
    )


def said_ready(client: Client, address: str) -> Object:
    """Return what one pod says to its readiness probe; nothing where it is not ready."""
    try:
        return client.ask("/healthz/ready", address=f"{address}:8000")
    except AssertionError:
        return {}


def container(pod: Object) -> Object:
    """Return the status of a pod's container, of one that was not started yet too."""
    return next(iter(pod["status"].get("containerStatuses", [])), {"ready": False, "restartCount": 0})


def found_pods(kubectl: Kubectl, selector: str) -> list[Object]:
    pods = kubectl.get("pods", "--selector", selector)["items"]
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def back_after(kubectl: Kubectl, name: str, *words: str) -> None:
    """End a server, and return when another process of it accepts connections."""

    def ready() -> set[str]:
        found = map(container, found_pods(kubectl, f"{servers.LABEL}={name}"))
        return {each["containerID"] for each in found if each["ready"]}

    before = ready()
    kubectl(*words, check=False)
    until(lambda: ready() - before, f"{name} after its end", RECOVERY_SECONDS)


def add(stack: Stack, objects: list[Object]) -> None:
    """Bring in a server, and wait until it accepts connections."""
    for each in objects:
        stack.kubectl.apply(each)
    stack.kubectl("rollout", "status", f"deployment/{objects[-1]['metadata']['name']}", "--timeout=110s")


def scale(kubectl: Kubectl, name: str, replicas: int) -> None:
    kubectl("scale", "deployment", name, f"--replicas={replicas}")
    if replicas:
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=110s")
    else:
        kubectl("wait", "pod", "--selector", f"{servers.LABEL}={name}", "--for=delete", "--timeout=110s")
