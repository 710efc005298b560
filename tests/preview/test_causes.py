"""Each fault as a real cluster told it: the cause in plain words, what proves it, and what to do."""

import re

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_preview.diagnosis.examine import Diagnosis
from fastapi_platform_preview.diagnosis.finding import Rank
from tests.conftest import ROOT, stack_records, stack_settings
from tests.preview.observations import (
    Edit,
    Items,
    broken_pod,
    container,
    diagnosed,
    event,
    newest,
    one,
    only,
    printed,
    waiting,
    without_events,
)

TOLD = {
    "crash": ("cannot start: LOG_LEVEL: Input should be", "exit code 3, 3 times", "service.env"),
    "image": ("the image cannot be pulled: app-example:nosuch", "failed to resolve reference", "--path service.image"),
    "migration": ("the migration failed with exit code 255", "Can't locate revision identified by 'nosuch'", "run up"),
    "oom": ("out of memory: the limit of container api is 32Mi", "OOMKilled", "--path service.resources.memory"),
    "quota": ("out of quota", "exceeded quota: few, requested: pods=1", "service.resources"),
    "ready": ("never ready: /nosuch of container api says no", "statuscode: 404", "service.probes.readiness_path"),
    "secret": ("Secret orders-database has no key nosuch", "couldn't find key nosuch", "service.secrets"),
}
PRIVATE = (
    'failed to pull and unpack image "docker.io/acme/orders:9": failed to resolve reference "docker.io/acme/orders:9": '
    "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: "
    "authorization failed"
)
"""containerd's words for a private image without a pull secret."""


@pytest.fixture(scope="module")
def local() -> Program:
    return Program(stack_records(stack_settings("local"), "local"))


@pytest.mark.parametrize("fault", TOLD)
def test_a_recorded_fault_is_told_with_its_proof_and_the_next_step(local: Program, fault: str):
    cause, evidence, fix = TOLD[fault]
    found = diagnosed(local, fault)
    first = found.findings[0]
    assert cause in first.cause
    assert any(evidence in line for line in first.evidence)
    assert fix in first.fix
    assert "the old version serves, 2 of 2 pods of app-example:dev" in found.serving[0]


@pytest.mark.parametrize("fault", TOLD)
def test_a_fault_fits_on_one_screen(local: Program, fault: str):
    assert len(printed(diagnosed(local, fault)).splitlines()) <= 24


def test_a_program_of_another_shape_is_told_the_object_instead_of_a_key(local: Program):
    found = diagnosed(local, "secret", sections=frozenset())
    assert "environment of Deployment orders" in only(found).fix
    assert "service." not in printed(found)


@pytest.mark.parametrize(
    ("words", "cause", "fix"),
    [
        ('configmap "orders-config-1" not found', "ConfigMap orders-config-1 does not exist", "-- --refresh"),
        ('secret "orders-more" not found', "Secret orders-more does not exist", "create secret generic orders-more"),
        ("couldn't find key a in ConfigMap orders/b", "ConfigMap b has no key a", "describe configmap b"),
        ("container has runAsNonRoot and image will run as root", "the image wants to run as root", "USER 10001"),
    ],
)
def test_what_a_container_lacks_is_named(local: Program, words: str, cause: str, fix: str):
    found = only(diagnosed(local, "secret", waiting("CreateContainerConfigError", words)))
    assert found.cause == cause
    assert fix in found.fix


def test_a_command_that_is_not_in_the_image_is_told_although_the_container_crashes(local: Program):
    """The kubelet counts it as a crash: the words are in how the container ended."""
    end = {"reason": "StartError", "exitCode": 128, "message": 'exec: "nosuch": executable file not found in $PATH'}
    found = only(diagnosed(local, "crash", container(lastState={"terminated": end})))
    assert found.cause == "the image does not have the command"
    assert "service.process" in found.fix


def test_a_volume_that_cannot_be_mounted_is_named(local: Program):
    edits = (
        waiting("ContainerCreating", ""),
        event(broken_pod, "FailedMount", 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'),
    )
    assert only(diagnosed(local, "secret", *edits)).cause == "Secret keys does not exist"


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (PRIVATE, "placement.image_pull_secrets"),
        ("registry.example.com/orders:9: not found", "--path service.image"),
        ("dial tcp: i/o timeout", "in reach of the nodes"),
    ],
)
def test_the_registrys_words_decide_the_next_step(local: Program, words: str, fix: str):
    found = diagnosed(local, "image", without_events, waiting("ErrImagePull", words))
    assert fix in only(found).fix


@pytest.mark.parametrize("probe", ["startup", "liveness"])
def test_a_probe_that_ends_the_container_is_the_cause_not_the_crash(local: Program, probe: str):
    end = {"exitCode": 137, "reason": "Error", "finishedAt": "2026-11-22T00:31:45Z"}
    found = diagnosed(
        local, "crash", container(lastState={"terminated": end}),
        event(broken_pod, "Unhealthy", f"{probe.capitalize()} probe failed: HTTP probe failed with statuscode: 500"),
        event(broken_pod, "Killing", f"Container api failed {probe} probe, will be restarted"),
    )  # fmt: skip
    assert only(found).cause == f"the {probe} probe of container api fails, and it is restarted"
    assert "statuscode: 500" in only(found).evidence[0]


def test_a_pod_that_is_not_ready_yet_is_no_fault(local: Program):
    """Readiness may fail while first connections are made; 20 seconds on it is one."""
    fresh = container(state={"running": {"startedAt": "2026-11-22T00:32:30Z"}})
    found = diagnosed(local, "ready", fresh)
    assert found.findings == ()
    assert found.under_way


def test_a_pod_within_its_startup_budget_is_starting(local: Program):
    found = diagnosed(local, "ready", container(started=False))
    assert found.findings == ()
    assert found.under_way[0].text == "Deployment orders: 1 pod starting, its startup probe has 60 s"


def test_pods_that_start_are_counted_not_their_containers(local: Program):
    def with_a_sidecar(found: Items) -> None:
        pod = broken_pod(found)
        pod["spec"]["containers"].append({"name": "proxy"})
        state = {"waiting": {"reason": "PodInitializing"}}
        pod["status"]["containerStatuses"].append({"name": "proxy", "state": state})

    found = diagnosed(local, "ready", container(started=False), with_a_sidecar)
    assert found.under_way[0].text.startswith("Deployment orders: 1 pod starting")


@pytest.mark.parametrize("restarts", [1, 7])
def test_restarts_of_long_ago_are_history(local: Program, restarts: int):
    """A pod that serves and crashed last week is healthy."""
    calm = container(
        ready=True, started=True, restartCount=restarts, state={"running": {"startedAt": "2026-11-22T00:20:00Z"}}
    )
    assert diagnosed(local, "crash", calm, _ready).findings == ()


def test_a_pod_that_serves_between_two_crashes_is_no_healthy_one(local: Program):
    between = container(
        ready=True, started=True, restartCount=4, state={"running": {"startedAt": "2026-11-22T00:31:41Z"}}
    )
    assert "cannot start: LOG_LEVEL" in only(diagnosed(local, "crash", between, _ready)).cause


def test_a_broken_pod_of_an_older_release_does_not_count(local: Program):
    """Going back leaves the broken pods behind for as long as they take to go."""
    assert diagnosed(local, "crash", _going_back).findings == ()


def test_a_failed_migration_is_told_before_anything_else(local: Program):
    found = diagnosed(local, "migration")
    assert found.findings[0].rank is Rank.MIGRATION
    assert "alembic upgrade nosuch" in found.findings[0].evidence[0]


def test_of_a_long_end_the_line_without_its_beginning_is_left_out(local: Program):
    """Kubernetes keeps the last 2,048 bytes: half an address does not look like a credential."""
    text = printed(diagnosed(local, "crash", ended("Zx9SECRETzz@db/orders\nlast words\n" + " " * 2000)))
    assert "last words" in text
    assert "Zx9SECRETzz" not in text


@pytest.mark.parametrize("said", ["Zx9SECRETzz@db " + "x" * 2030, "Zx9SECRETzz@db\n" + "ö" * 1010])
def test_an_end_is_cut_by_bytes_and_of_one_line_that_was_cut_nothing_is_left(local: Program, said: str):
    """The log has it as a whole."""
    found = diagnosed(local, "crash", ended(said))
    assert "Zx9SECRETzz" not in printed(found, width=9000)
    assert (only(found).log is not None) is ("\n" not in said)


def test_a_migrations_end_is_cut_like_any_other(local: Program):
    def cut(found: Items) -> None:
        pod = one(found, "Pod", "migrate")
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = "Zx9SECRETzz@db " + "x" * 2030

    found = diagnosed(local, "migration", cut)
    assert "Zx9SECRETzz" not in printed(found, width=9000)
    assert found.findings[0].log is not None


def ended(message: str) -> Edit:
    return container(lastState={"terminated": {"exitCode": 1, "reason": "Error", "message": message}})


def _ready(found: Items) -> None:
    broken_pod(found)["status"]["conditions"] = [{"type": "Ready", "status": "True"}]


def _going_back(found: Items) -> None:
    for each in found:
        if each["kind"] == "ReplicaSet" and each is not newest(found):
            each["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "99"
            return


def test_a_credential_in_what_a_container_says_is_not_printed(local: Program):
    said = "ERROR cannot connect to postgresql://orders:Zx9SECRETzz@db/orders with token=Zx9SECRETzz"
    end = {"exitCode": 1, "reason": "Error", "message": said}
    found: Diagnosis = diagnosed(local, "crash", container(lastState={"terminated": end}))
    text = printed(found, width=200)
    assert "Zx9SECRETzz" not in text
    assert "cannot connect to [secret]" in text


def test_the_pod_of_another_stack_in_the_namespace_does_not_count(local: Program):
    def strange(found: Items) -> None:
        newest(found)["metadata"]["ownerReferences"][0]["uid"] = "somebody"

    assert diagnosed(local, "crash", strange).findings == ()


def test_the_guide_shows_what_is_printed(local: Program):
    guide = (ROOT / "docs" / "guides" / "when-a-deploy-does-not-come-up.md").read_text()
    shown = re.findall(r"^```text\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    printing = [printed(diagnosed(local, fault), width=1000) for fault in ("crash", "secret")]
    assert shown == ["\n".join(line.rstrip() for line in text.splitlines()) + "\n" for text in printing]
