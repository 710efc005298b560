"""Faults around the containers: pods that are refused, placed nowhere or never go, Jobs, autoscalers, budgets."""

from typing import Any

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_preview.diagnosis.finding import Rank
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
    without_events,
)

STEADY = container(ready=True, started=True, restartCount=0, state={"running": {"startedAt": "2026-11-22T00:31:18Z"}},
                   lastState={})  # fmt: skip


@pytest.fixture(scope="module")
def local() -> Program:
    return Program(stack_records(stack_settings("local"), "local"))


def status(kind: str, **fields: Any) -> Edit:
    return lambda found: one(found, kind)["status"].update(fields)


def condition(kind: str, **fields: str) -> Edit:
    return lambda found: one(found, kind)["status"].update(conditions=[fields])


def well(found: Items) -> None:
    STEADY(found)
    broken_pod(found)["status"]["conditions"] = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("exceeded quota: few, requested: pods=1, limited: pods=3", "out of quota: no more pods may be made"),
        ('violates PodSecurity "restricted:latest": runAsNonRoot', "the namespace's Pod Security refuses the pods"),
        ("maximum cpu usage per Container is 1, but limit is 2", "the namespace's LimitRange refuses the pods"),
        ('admission webhook "images.example.com" denied the request: no', "a rule of the cluster refuses the pods"),
        ("something new", "the cluster refuses to make pods"),
    ],
)
def test_a_refusal_is_told_in_the_api_servers_words(local: Program, words: str, cause: str):
    edits = (without_events, event_later(f'Error creating: pods "x" is forbidden: {words}'))
    found = only(diagnosed(local, "quota", *edits))
    assert found.cause == cause
    assert found.evidence == (words,)


def event_later(words: str) -> Edit:
    def add(found: Items) -> None:
        stamp = newest(found)["metadata"]["creationTimestamp"]
        found.append({"kind": "Event", "type": "Warning", "reason": "FailedCreate", "message": words, "count": 1,
                      "firstTimestamp": stamp, "lastTimestamp": stamp,
                      "involvedObject": {"name": "x", "uid": newest(found)["metadata"]["uid"]}})  # fmt: skip

    return add


def test_a_refusal_outlives_its_events(local: Program):
    assert "exceeded quota" in only(diagnosed(local, "quota", without_events)).evidence[0]


def test_a_refusal_that_is_over_is_none(local: Program):
    def all_there(found: Items) -> None:
        newest(found)["status"]["replicas"] = newest(found)["spec"]["replicas"]

    assert diagnosed(local, "quota", all_there).findings == ()


def unscheduled(words: str) -> Edit:
    def edit(found: Items) -> None:
        pod = broken_pod(found)
        pod["status"] = {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}],
        }

    return edit


def test_a_pod_that_no_node_takes_has_the_schedulers_words(local: Program):
    words = "0/3 nodes are available: 3 Insufficient memory."
    found = only(diagnosed(local, "ready", unscheduled(words)))
    assert (found.cause, found.evidence) == ("no node takes the pod", (words,))
    assert "service.resources" in found.fix


def test_a_scheduler_gets_a_moment(local: Program):
    def just_made(found: Items) -> None:
        broken_pod(found)["metadata"]["creationTimestamp"] = "2026-11-22T00:32:30Z"

    assert diagnosed(local, "ready", unscheduled("0/3 nodes are available"), just_made).findings == ()


def test_a_claim_without_a_volume_is_named(local: Program):
    def claim(found: Items) -> None:
        broken_pod(found)["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "data-0"}}]
        found.append({"kind": "PersistentVolumeClaim", "metadata": {"name": "data-0", "uid": "claim"},
                      "status": {"phase": "Pending"}})  # fmt: skip

    words = "pod has unbound immediate PersistentVolumeClaims"
    told = event(lambda found: one(found, "PersistentVolumeClaim"), "ProvisioningFailed", "no StorageClass is set")
    found = only(diagnosed(local, "ready", unscheduled(words), claim, told))
    assert found.cause == "PersistentVolumeClaim data-0 gets no volume"
    assert "no StorageClass is set" in found.evidence[1]


@pytest.mark.parametrize(("since", "stuck"), [("2026-11-22T00:32:30Z", False), ("2026-11-22T00:30:00Z", True)])
def test_a_pod_that_should_be_gone_is_told_once_its_grace_is_over(local: Program, since: str, stuck: bool):
    def leaving(found: Items) -> None:
        broken_pod(found)["metadata"]["deletionTimestamp"] = since

    causes = [each.cause for each in diagnosed(local, "ready", leaving).findings]
    assert causes == (["pods do not go away"] if stuck else [])


def test_an_evicted_pod_counts_while_no_other_serves(local: Program):
    words = "Usage of EmptyDir volume exceeds the limit 64Mi."

    def evicted(found: Items) -> None:
        broken_pod(found)["status"] = {"phase": "Failed", "reason": "Evicted", "message": words}

    assert only(diagnosed(local, "ready", evicted)).evidence == (words,)


def late(found: Items) -> None:
    """The Job controller takes the pods of a Job away that is over its deadline."""
    job = one(found, "Job")
    job["status"]["conditions"] = [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]
    job["spec"]["activeDeadlineSeconds"] = 30
    found.remove(one(found, "Pod", "migrate"))


def test_a_migration_over_its_deadline_names_the_deadline_and_the_key(local: Program):
    found = diagnosed(local, "migration", late).findings[0]
    assert found.cause == "the migration did not end within its deadline of 30 s"
    assert "migrations.deadline_seconds" in found.fix
    assert found.rank is Rank.MIGRATION


def test_a_migration_that_is_being_ended_has_failed_already(local: Program):
    """Its pod has half a minute to stop; nobody needs to wait for that."""

    def ending(found: Items) -> None:
        one(found, "Job")["status"]["conditions"] = [
            {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
        ]
        one(found, "Pod", "migrate")["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": "x"}}

    found = diagnosed(local, "migration", ending).findings[0]
    assert found.cause == "the migration did not end within its deadline of 300 s"
    assert found.log is not None


def running(found: Items) -> None:
    job = one(found, "Job")
    job["status"] = {"active": 1, "startTime": "2026-11-22T00:34:13Z"}
    one(found, "Pod", "migrate")["status"]["phase"] = "Running"
    one(found, "Pod", "migrate")["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": "x"}}


def test_a_migration_that_runs_is_no_fault_and_says_how_far_it_is(local: Program):
    (told,) = diagnosed(local, "migration", running, _only_the_job).under_way
    assert told.text.endswith(" s, ends at the latest after 300 s")
    assert told.log is not None


def _only_the_job(found: Items) -> None:
    broken = broken_pod(found)
    found.remove(broken)


@pytest.mark.parametrize(("since", "blind"), [("2026-11-22T00:20:00Z", True), ("2026-11-22T00:31:40Z", False)])
def test_an_autoscaler_without_metrics_is_told_once_they_should_be_there(local: Program, since: str, blind: bool):
    def scaler(found: Items) -> None:
        found.append({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "orders", "uid": "h"}, "status": {
            "conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric",
                            "message": "no metrics known for pod", "lastTransitionTime": since}]}})  # fmt: skip

    causes = [each.cause for each in diagnosed(local, "crash", well, scaler).findings]
    assert causes == (["it cannot read metrics, and scales nothing"] if blind else [])


@pytest.mark.parametrize(("healthy", "told"), [(1, True), (2, False)])
def test_a_budget_that_lets_nothing_go_is_told(local: Program, healthy: int, told: bool):
    def budget(found: Items) -> None:
        found.append({"kind": "PodDisruptionBudget", "metadata": {"name": "orders", "uid": "b"}, "status": {
            "expectedPods": 3, "currentHealthy": healthy, "desiredHealthy": 2, "disruptionsAllowed": 0}})  # fmt: skip

    causes = [each.cause for each in diagnosed(local, "crash", well, budget).findings]
    assert causes == (["no pod may be evicted: too few are healthy"] if told else [])


def test_what_stands_around_is_no_news_while_pods_are_broken(local: Program):
    """The budget says no because the pods are broken: one cause, one finding."""

    def budget(found: Items) -> None:
        found.append({"kind": "PodDisruptionBudget", "metadata": {"name": "orders", "uid": "b"}, "status": {
            "expectedPods": 3, "currentHealthy": 0, "desiredHealthy": 2, "disruptionsAllowed": 0}})  # fmt: skip

    assert "cannot start" in only(diagnosed(local, "crash", budget)).cause


def test_a_rollout_without_progress_is_told_where_nothing_else_explains_it(local: Program):
    stalled = condition("Deployment", type="Progressing", status="False", reason="ProgressDeadlineExceeded")
    assert only(diagnosed(local, "crash", well, stalled)).cause == "the rollout has made no progress for 300 s"
    assert "cannot start" in only(diagnosed(local, "crash", stalled)).cause


def test_a_stack_of_which_a_part_is_gone_says_which(local: Program):
    def gone(found: Items) -> None:
        found.remove(one(found, "StatefulSet"))

    found = only(diagnosed(local, "crash", well, gone))
    assert (found.subject, found.cause) == ("StatefulSet orders-database", "it does not exist")
    assert found.fix == "Deploy it: fastapi-platform up local"
