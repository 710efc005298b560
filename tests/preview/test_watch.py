"""When a deploy is ended early, and when never."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Value, items
from fastapi_platform_policy.workloads import Workload
from fastapi_platform_preview.diagnosis import watch
from fastapi_platform_preview.diagnosis.examine import Diagnosis
from fastapi_platform_preview.diagnosis.finding import MENDS_ITSELF, Finding, Rank
from fastapi_platform_preview.diagnosis.release import agrees
from fastapi_platform_preview.diagnosis.watch import Watch
from tests.conftest import stack_records, stack_settings
from tests.preview.observations import Items, broken_pod, container, diagnosed, event, newest

API = "urn:api"
NOW = "2026-11-22T00:34:10Z"
FAULT = Finding(
    rank=Rank.NOT_RUNNING, subject="Deployment orders", urn=API, cause="crashes", evidence=(), fix="",
    traces=frozenset({"pod-2 crash-1"}), patience_seconds=10,
)  # fmt: skip


def diagnosis(*findings: Finding, wanted: str = API) -> Diagnosis:
    return Diagnosis((), findings, (), frozenset({wanted}))


def test_a_cause_ends_the_deploy_once_it_has_lasted():
    seen = Watch()
    assert seen.hopeless(diagnosis(FAULT), {API}, 100) == ()
    assert seen.hopeless(diagnosis(FAULT), {API}, 109) == ()
    assert seen.hopeless(diagnosis(FAULT), {API}, 110) == (FAULT,)


def test_a_cause_that_went_away_begins_anew():
    seen = Watch()
    seen.hopeless(diagnosis(FAULT), {API}, 100)
    seen.hopeless(diagnosis(), {API}, 105)
    assert seen.hopeless(diagnosis(FAULT), {API}, 110) == ()


def test_what_waiting_may_mend_never_ends_a_deploy():
    patient = replace(FAULT, patience_seconds=MENDS_ITSELF)
    seen = Watch()
    assert [seen.hopeless(diagnosis(patient), {API}, at) for at in (0, 10_000)] == [(), ()]


@pytest.mark.parametrize(
    ("awaited", "wanted"), [("urn:other", API), (API, "urn:other")], ids=["not awaited", "of another release"]
)
def test_a_fault_elsewhere_never_ends_a_deploy(awaited: str, wanted: str):
    """Going back from a broken release: its pods are broken until the engine has replaced them."""
    seen = Watch()
    found = diagnosis(FAULT, wanted=wanted)
    assert [seen.hopeless(found, {awaited}, at) for at in (0, 10_000)] == [(), ()]


def test_a_fault_from_before_the_deploy_counts_only_when_it_happens_again():
    """Somebody made the missing Secret and deploys the same release again."""
    seen = Watch(before=watch.traces(diagnosis(FAULT)))
    assert [seen.hopeless(diagnosis(FAULT), {API}, at) for at in (0, 60)] == [(), ()]
    again = replace(FAULT, traces=frozenset({"pod-2 crash-2"}))
    seen.hopeless(diagnosis(again), {API}, 70)
    assert seen.hopeless(diagnosis(again), {API}, 80) == (again,)


@pytest.fixture(scope="module")
def local() -> Program:
    return Program(stack_records(stack_settings("local"), "local"))


def test_the_second_crash_is_hopeless_and_the_first_is_not(local: Program):
    end = {"exitCode": 3, "reason": "Error", "message": "no", "finishedAt": "2026-11-22T00:31:39Z"}
    first = diagnosed(local, "crash", container(restartCount=0, state={"terminated": end}, lastState={}))
    second = diagnosed(local, "crash", container(restartCount=1, state={"terminated": end}))
    assert [found.findings[0].patience_seconds for found in (first, second)] == [MENDS_ITSELF, 0]


def test_a_process_that_was_out_of_memory_once_may_come_good(local: Program):
    found = [diagnosed(local, "oom", container(restartCount=count)).findings[0] for count in (0, 1)]
    running = [diagnosed(local, "oom", container(restartCount=1, state={"running": {"startedAt": NOW}})).findings[0]]
    assert [each.patience_seconds for each in (*found, *running)] == [MENDS_ITSELF, 0, MENDS_ITSELF]


@pytest.mark.parametrize("probe", ["startup", "liveness"])
def test_a_first_kill_by_a_probe_ends_nothing(local: Program, probe: str):
    """The kubelet tries again, and a dependency may have come back."""
    end = {"exitCode": 137, "reason": "Error", "finishedAt": "2026-11-22T00:31:45Z"}
    killed = event(broken_pod, "Killing", f"Container api failed {probe} probe, will be restarted")
    found = [
        diagnosed(local, "crash", container(restartCount=count, state={"running": {"startedAt": NOW}},
                                            lastState={"terminated": end}), killed).findings[0]
        for count in (1, 2)
    ]  # fmt: skip
    assert [each.patience_seconds for each in found] == [MENDS_ITSELF, 0]


def test_another_crash_leaves_another_trace(local: Program):
    one, two = (diagnosed(local, "crash", container(restartCount=count)) for count in (2, 3))
    assert not watch.traces(one) & watch.traces(two)


def api(program: Program) -> Workload:
    return next(workload for workload in program.workloads if workload.kind == "Deployment")


def test_pods_are_the_stacks_own_when_they_have_all_that_it_says(local: Program):
    """The cluster adds defaults and writes quantities its own way."""

    def as_deployed(found: Items) -> None:
        newest(found)["spec"]["template"] = _with_defaults(api(local).template)

    def other_image(found: Items) -> None:
        as_deployed(found)
        newest(found)["spec"]["template"]["spec"]["containers"][0]["image"] = "app-example:before"

    assert api(local).urn in diagnosed(local, "crash", as_deployed).wanted
    assert api(local).urn not in diagnosed(local, "crash", other_image).wanted


def test_requests_that_the_cluster_rewrites_make_no_other_release(local: Program):
    """GKE Autopilot rounds them up."""

    def rounded(found: Items) -> None:
        template = _with_defaults(api(local).template)
        template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = 2
        newest(found)["spec"]["template"] = template

    def other_probe(found: Items) -> None:
        rounded(found)
        newest(found)["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] = 99

    assert api(local).urn in diagnosed(local, "crash", rounded).wanted
    assert api(local).urn not in diagnosed(local, "crash", other_probe).wanted


def test_pods_with_less_than_the_stack_gives_are_those_before(local: Program):
    """Out of memory, and more of it is all that the deploy changes: the old pods go on crashing until they go."""

    def as_before(found: Items) -> None:
        template = _with_defaults(api(local).template)
        template["spec"]["containers"][0]["resources"]["limits"]["memory"] = "32Mi"
        newest(found)["spec"]["template"] = template

    assert api(local).urn not in diagnosed(local, "oom", as_before).wanted


def _with_defaults(value: Value) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_defaults(each) for key, each in value.items()} | {"added": "by the cluster"}
    return [_with_defaults(each) for each in items(value)] if items(value) else value


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"cpu": "0.5"}, {"cpu": "500m"}, True), ({"memory": "1024Mi"}, {"memory": "1Gi"}, True),
        ({"memory": "1024Mi"}, {"memory": "2Gi"}, False), ({"a": 1}, {}, False), ([1, 2], [1], False),
        ({"a": None}, {}, True), ("x", "y", False), ({"a": False, "b": "", "c": 0}, {}, True), ({"a": True}, {}, False),
        ({"a": 0}, {"a": 1}, False), ({"cpu": 1}, {"cpu": "1"}, True), ({"cpu": 0.5}, {"cpu": "500m"}, True),
    ],
)  # fmt: skip
def test_values_agree_in_kubernetes_terms(wanted: Value, live: Value, same: bool):
    assert agrees(wanted, live) is same
