"""Containers that start and do not stay, or never serve.

Owns what a process does once it runs. Deliberately waits for a second end, and for the first probe that could have said
no: a deploy is not ended for a dependency that is a moment late.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from fastapi_platform_policy.record import Marker, at, items, mapping, text

from ..finding import MENDS_ITSELF, Finding, Rank
from ..log_lines import telling
from ..observed import Event, moment, number
from .case import Case

RECENT_SECONDS = 600
"""A container that serves and last crashed before that is healthy."""
SETTLED_SECONDS = 120
"""One that has run for so long since is, too."""
GRACE_SECONDS = 20
"""So long may readiness fail after a start: first connections are being made."""
PERIOD_SECONDS, FAILURES = 10, 3
"""Of a probe that states none."""


_CANNOT_START = re.compile(r"cannot (?:start|load|serve|listen)\b.*")
"""How an image of the platform's says that it refuses to start; whatever follows is the reason."""


def memory(case: Case) -> Finding | None:
    """The kernel ended it, because it used more than it may."""
    if case.end_reason != "OOMKilled" or _healthy_again(case):
        return None
    limit = text(at(case.spec, "resources", "limits", "memory")) or "what the node has"
    times = f"killed {case.crashes} times" if case.crashes > 1 else "killed once"
    return case.found(
        Rank.NOT_RUNNING, f"out of memory: the limit of container {case.name} is {limit}",
        (f"OOMKilled, exit code {case.exit_code}, {times}",),
        f"{case.advice.command(case.release, 'resources.memory', '<more than ' + limit + '>', 'memory limit')}",
        trace=_trace(case), patience_seconds=_after_ends(case),
    )  # fmt: skip


def crash(case: Case) -> Finding | None:
    """It ends by itself."""
    if not case.end_reason or case.release.workload.runs_once or _healthy_again(case):
        return None
    times = f", {case.crashes} times" if case.crashes > 1 else ""
    said = telling(case.end_message)
    refusal = next((found[0] for line in said if (found := _CANNOT_START.search(line))), "")
    return case.found(
        Rank.NOT_RUNNING, refusal or f"container {case.name} ends by itself with exit code {case.exit_code}",
        (f"exit code {case.exit_code}{times}, last at {text(at(case.end, 'finishedAt'))}",
         *(line for line in said if not refusal or refusal not in line)),
        f"Correct what it says (settings: {case.advice.change(case.release, 'env', 'environment')}), or go back to the "
        "image before.",
        trace=_trace(case), patience_seconds=_after_ends(case),
        log=None if case.end_message else case.log,
    )  # fmt: skip


def startup(case: Case) -> Finding | None:
    """Its startup or liveness probe failed until the kubelet ended it."""
    killed = _unhealthy(case)
    if killed is None or _healthy_again(case) or not case.end_reason:
        return None
    kind = "startup" if "startup" in killed.message else "liveness"
    probes = case.seen.events_of(case.pod, "Unhealthy", saying=f"{kind.capitalize()} probe failed")
    field = f"probes.{kind}"
    return case.found(
        Rank.NOT_RUNNING, f"the {kind} probe of container {case.name} fails, and it is restarted",
        (probes[-1].message if probes else killed.message,),
        f"Read its log; where it needs longer: {case.advice.change(case.release, field, f'{kind} probe')}.",
        trace=_trace(case), patience_seconds=_after_ends(case), log=case.log,
    )


def readiness(case: Case) -> Finding | None:
    """It runs, and says that it cannot serve."""
    if not case.runs or case.is_ready or at(case.status, "started") is not True:
        return None
    refusals = case.seen.events_of(case.pod, "Unhealthy", saying="Readiness probe failed")
    probes = tuple(each for each in refusals if each.last >= case.began)
    if case.seen.age_seconds(_could_serve(case, probes)) < GRACE_SECONDS:
        return None
    path = text(at(case.spec, "readinessProbe", "httpGet", "path"))
    said = probes[-1].message if probes else "not ready"
    what = f"{path} of container {case.name}" if path else f"container {case.name}"
    wrong_path = "statuscode: 404" in said
    fix = (
        f"The app has no such path: {case.advice.change(case.release, 'probes.readiness_path', 'readiness path')}."
        if wrong_path else
        f"What it names must be in reach. Ask it: kubectl --namespace {case.pod.at('metadata', 'namespace')} "
        f"exec {case.pod.name} -- python -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:"
        f"{_port(case)}{path}').read())\""
    )
    return case.found(
        Rank.NOT_READY, f"never ready: {what} says no", (said, *_how_often(probes)), fix,
        trace=f"{sum(each.count for each in probes)} {case.began}", patience_seconds=10,
        log=replace(case.log, previous=False, errors_only=True),
    )


def pod(case: Case) -> Finding | None:
    """Its containers can serve, and something else keeps the pod out of its Service: its node, a load balancer."""
    statuses = items(case.pod.at("status", "containerStatuses"))
    if not statuses or any(at(each, "ready") is not True for each in statuses) or not case.pod.is_false("Ready"):
        return None
    since = max(moment(at(case.pod.condition(kind), "lastTransitionTime")) for kind in ("Ready", "ContainersReady"))
    if case.seen.age_seconds(since) < GRACE_SECONDS:
        return None
    gates = [gate for each in items(case.pod.at("spec", "readinessGates"))
             if not case.pod.is_true(gate := text(at(each, "conditionType")))]  # fmt: skip
    lost = case.seen.events_of(case.pod, "NodeNotReady")[-1:]
    said = case.pod.condition("Ready")
    why = f"readiness gate {', '.join(gates)}" if gates else lost[0].reason if lost else text(at(said, "reason"))
    return case.found(
        Rank.NOT_READY, "not ready although its containers are" + (f": {why}" if why else ""),
        (text(at(said, "message")), *(each.message for each in lost)),
        f"Look at its node, and at what sets the gates: kubectl --namespace {case.pod.at('metadata', 'namespace')} "
        f"describe pod {case.pod.name}",
        trace=f"{why} {since}", patience_seconds=MENDS_ITSELF,
    )  # fmt: skip


def starting(case: Case) -> str:
    """How far a container is that is no fault yet; empty for any other."""
    if case.is_ready or case.end_reason:
        return ""
    if case.runs and at(case.status, "started") is not True:
        return f"starting, its startup probe has {_budget(case)} s"
    return "starting" if case.runs or case.waits in ("ContainerCreating", "PodInitializing") else ""


def _budget(case: Case, probe: str = "startupProbe") -> int:
    """How long a probe may fail; 0 where there is none."""
    stated = at(case.spec, probe)
    if not mapping(stated):
        return 0
    period, failures = number(at(stated, "periodSeconds")), number(at(stated, "failureThreshold"))
    return (period or PERIOD_SECONDS) * (failures or FAILURES)


def _could_serve(case: Case, refusals: tuple[Event, ...]) -> datetime:
    """When its first readiness probe failed; where none was seen to, when one must have."""
    begins = case.began + timedelta(seconds=number(at(case.spec, "readinessProbe", "initialDelaySeconds")))
    if refusals:
        return max(begins, min(each.first for each in refusals))
    return begins + timedelta(seconds=_budget(case) + _budget(case, "readinessProbe"))


def _how_often(probes: tuple[Event, ...]) -> tuple[str, ...]:
    if not probes:
        return ()
    return (f"{sum(each.count for each in probes)} times since {min(each.first for each in probes):%H:%M:%S} UTC",)


def _port(case: Case) -> str:
    port = at(case.spec, "ports", 0, "containerPort")
    return "8000" if port is Marker.ABSENT else str(port)


def _unhealthy(case: Case) -> Event | None:
    """The kubelet's word that it ends the container for a failed probe."""
    killed = [
        each for each in case.seen.events_of(case.pod, "Killing", saying=f"Container {case.name} failed")
        if "probe" in each.message and abs((moment(at(case.end, "finishedAt")) - each.last).total_seconds()) < 120
    ]  # fmt: skip
    return killed[-1] if killed else None


def _healthy_again(case: Case) -> bool:
    """Whether the end is history: it serves now, and did not only just begin to."""
    if not case.is_ready:
        return False
    settled = case.seen.age_seconds(case.began) >= SETTLED_SECONDS
    return settled or case.restarts < 2 or case.seen.age_seconds(moment(at(case.end, "finishedAt"))) > RECENT_SECONDS


def _after_ends(case: Case) -> float | None:
    """The first end may be the last."""
    return 0 if case.crashes > 1 else MENDS_ITSELF


def _trace(case: Case) -> str:
    return f"{case.crashes} {text(at(case.end, 'finishedAt'))}"
