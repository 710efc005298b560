"""What looks like a fault and is none, or not yet: a healthy deploy is never ended, and a dead end always told."""

import copy
from typing import Any

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_preview.diagnosis.finding import MENDS_ITSELF, Rank
from tests.conftest import stack_records, stack_settings
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
    waiting,
    without_events,
)

MOUNT = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'


@pytest.fixture(scope="module")
def local() -> Program:
    return Program(stack_records(stack_settings("local"), "local"))


def ready_condition(status: str, **fields: Any) -> Edit:
    def edit(found: Items) -> None:
        broken_pod(found)["status"]["conditions"] = [{"type": "Ready", "status": status, **fields}]

    return edit


def pod_spec(**fields: Any) -> Edit:
    return lambda found: broken_pod(found)["spec"].update(fields)


def spec(**fields: Any) -> Edit:
    return lambda found: broken_pod(found)["spec"]["containers"][0].update(fields)


def without_the_old(found: Items) -> None:
    """As on a first deploy."""
    kept = (newest(found)["metadata"]["uid"], broken_pod(found)["metadata"]["uid"])
    found[:] = [each for each in found if each["kind"] not in ("ReplicaSet", "Pod") or each["metadata"]["uid"] in kept]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_dead_pod_of_the_present_release_is_no_crash(local: Program, phase: str):
    """A node that went away leaves pods behind; a Deployment has long made others."""
    assert diagnosed(local, "crash", lambda found: broken_pod(found)["status"].update(phase=phase)).findings == ()


def test_a_dead_pod_is_not_counted_among_those_that_could_serve(local: Program):
    def one_more(found: Items) -> None:
        dead = copy.deepcopy(broken_pod(found))
        dead["metadata"] |= {"name": "dead", "uid": "dead"}
        dead["status"]["phase"] = "Failed"
        found.append(dead)

    assert "0 of 1 pods are ready" in diagnosed(local, "ready", one_more).serving[0]


@pytest.mark.parametrize(
    ("edits", "cause", "evidence"),
    [
        (
            (pod_spec(readinessGates=[{"conditionType": "cloud.example.com/in-balancer"}]),
             ready_condition("False", reason="ReadinessGatesNotReady", message="corresponding condition is missing")),
            "not ready although its containers are: readiness gate cloud.example.com/in-balancer",
            "corresponding condition is missing",
        ),
        (
            (ready_condition("False"), event(broken_pod, "NodeNotReady", "Node is not ready")),
            "not ready although its containers are: NodeNotReady", "Node is not ready",
        ),
    ],
    ids=["gate", "node"],
)  # fmt: skip
def test_pods_that_are_not_ready_though_their_containers_are_say_why(
    local: Program, edits: tuple[Edit, ...], cause: str, evidence: str
):
    found = only(diagnosed(local, "ready", container(ready=True), *edits))
    assert (found.cause, found.patience_seconds) == (cause, MENDS_ITSELF)
    assert evidence in found.evidence


def test_a_pod_whose_containers_just_became_ready_gets_a_moment(local: Program):
    just = ready_condition("False", lastTransitionTime="2026-11-22T00:32:30Z")
    assert diagnosed(local, "ready", container(ready=True), just).findings == ()


def test_a_service_without_a_single_ready_pod_is_never_without_a_fault(local: Program):
    edits = (without_events, without_the_old, container(ready=True), ready_condition("Unknown"))
    found = only(diagnosed(local, "ready", *edits))
    assert (found.cause, found.rank) == ("nothing serves: no pod is ready", Rank.NOT_READY)
    assert found.patience_seconds is MENDS_ITSELF


def test_a_first_deploy_that_is_still_starting_serves_nothing_yet(local: Program):
    """Who asks whether it is up is not told that it is; a deploy waits on."""
    found = diagnosed(local, "ready", without_the_old, container(started=False))
    assert only(found).cause == "nothing serves: no pod is ready"
    assert found.under_way


def after(reason: str, message: str) -> Edit:
    """An event a second after the last one."""

    def add(found: Items) -> None:
        event(broken_pod, reason, message)(found)
        found[-1]["lastTimestamp"] = "2026-11-22T00:59:59Z"

    return add


@pytest.mark.parametrize("reason", ["Pulling", "Pulled", "SuccessfulAttachVolume"])
def test_a_volume_that_was_late_is_no_cause_while_the_image_is_pulled(local: Program, reason: str):
    edits = (waiting("ContainerCreating", ""), event(broken_pod, "FailedMount", MOUNT), after(reason, "went on"))
    assert diagnosed(local, "secret", *edits).findings == ()


@pytest.mark.parametrize(
    ("words", "patience"),
    [
        (MOUNT, 30),
        ('Multi-Attach error for volume "data" Volume is already used by pod(s) a', MENDS_ITSELF),
        ('MountVolume.SetUp failed for volume "keys" : failed to sync secret cache: timed out', MENDS_ITSELF),
    ],
)
def test_a_volume_that_comes_free_by_itself_ends_nothing(local: Program, words: str, patience: float | None):
    edits = (waiting("ContainerCreating", ""), event(broken_pod, "FailedMount", words))
    assert only(diagnosed(local, "secret", *edits)).patience_seconds == patience


@pytest.mark.parametrize(("later_seconds", "told"), [(130, False), (132, True)])
def test_readiness_counts_from_the_first_probe_that_could_have_failed(
    local: Program, later_seconds: float, told: bool
):
    """60 s for the startup probe, 60 s of delay, three probes of 10 s: before that, silence is no refusal."""
    probe = spec(readinessProbe={"initialDelaySeconds": 60, "periodSeconds": 10, "failureThreshold": 3})
    found = diagnosed(local, "ready", without_events, probe, later_seconds=later_seconds)
    assert bool(found.findings) is told


def test_a_readiness_probe_that_failed_before_the_restart_says_nothing_of_this_process(local: Program):
    fresh = container(state={"running": {"startedAt": "2026-11-22T00:32:37Z"}}, restartCount=1)
    probe = spec(readinessProbe={"initialDelaySeconds": 60})
    assert diagnosed(local, "ready", fresh, probe, later_seconds=40).findings == ()


@pytest.mark.parametrize(
    ("reason", "words", "patience"),
    [
        ("CreateContainerConfigError", 'secret "orders-more" not found', 10),
        ("CreateContainerError", "context deadline exceeded", MENDS_ITSELF),
        ("CreateContainerError", 'name "api" is reserved', MENDS_ITSELF),
        ("RunContainerError", "failed to create containerd task", MENDS_ITSELF),
    ],
)
def test_only_what_the_runtime_cannot_mend_ends_a_deploy(
    local: Program, reason: str, words: str, patience: float | None
):
    assert only(diagnosed(local, "secret", waiting(reason, words))).patience_seconds == patience


@pytest.mark.parametrize("waits", ["CrashLoopBackOff", "RunContainerError"])
def test_a_command_that_is_not_there_never_comes(local: Program, waits: str):
    words = 'exec: "nosuch": executable file not found in $PATH'
    end = {"terminated": {"reason": "StartError", "exitCode": 128, "message": words}}
    state = {"waiting": {"reason": waits, "message": words}}
    found = only(diagnosed(local, "crash", container(state=state, lastState=end)))
    assert (found.cause, found.patience_seconds) == ("the image does not have the command", 10)


def test_a_mount_that_is_not_there_is_no_missing_command(local: Program):
    words = 'error mounting "/var/lib/kubelet/x" to rootfs at "/keys": no such file or directory'
    assert only(diagnosed(local, "secret", waiting("CreateContainerError", words))).cause == "no container can be made"


def test_a_refusal_that_is_over_is_none_while_pods_come_and_go(local: Program):
    """Its events stay for an hour; the ReplicaSet says that it is over."""
    assert diagnosed(local, "quota", lambda found: newest(found)["status"].update(conditions=[])).findings == ()


@pytest.mark.parametrize(("later_seconds", "told"), [(60, True), (1800, False)])
def test_an_old_refusal_of_what_has_no_such_condition_is_history(local: Program, later_seconds: float, told: bool):
    def refused(found: Items) -> None:
        database = one(found, "StatefulSet")
        database["status"]["replicas"] = 0
        event(lambda _: database, "FailedCreate", "pods is forbidden: exceeded quota: few")(found)

    found = diagnosed(local, "quota", lambda found: newest(found)["status"].update(conditions=[]), refused,
                      later_seconds=later_seconds)  # fmt: skip
    assert [each.subject for each in found.findings] == (["StatefulSet orders-database"] if told else [])
