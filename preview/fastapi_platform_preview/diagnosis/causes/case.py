"""One container of a pod that matters, as every question about it gets it.

Owns which pods and containers are asked about. Deliberately passes over pods that are dead or on their way out where
others take their place: a node that went away leaves some behind.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fastapi_platform_policy.record import Marker, Value, at, items, text

from ..advice import Advice
from ..finding import Finding, Log, Rank
from ..log_lines import whole
from ..observed import Live, Observed, moment, number
from ..release import Release, is_dead

_REPLACED = frozenset({"DaemonSet", "Deployment", "StatefulSet"})


@dataclass(frozen=True, slots=True)
class Case:
    """A container, its pod, and all that was seen."""

    seen: Observed
    advice: Advice
    release: Release
    pod: Live
    spec: Value
    status: Value

    @property
    def name(self) -> str:
        """Name of the container."""
        return text(at(self.spec, "name"))

    @property
    def image(self) -> str:
        """Its image as the stack names it."""
        return text(at(self.spec, "image"))

    @property
    def waits(self) -> str:
        """Why it does not run yet; empty when it runs, or has ended."""
        return text(at(self.status, "state", "waiting", "reason"))

    @property
    def says(self) -> str:
        """The same in the cluster's words."""
        return text(at(self.status, "state", "waiting", "message"))

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return number(at(self.status, "restartCount"))

    @property
    def runs(self) -> bool:
        """Whether it runs now."""
        return at(self.status, "state", "running") is not Marker.ABSENT

    @property
    def is_ready(self) -> bool:
        """Whether it may serve."""
        return at(self.status, "ready") is True

    @property
    def began(self) -> datetime:
        """When it last began to run."""
        return moment(at(self.status, "state", "running", "startedAt"))

    @property
    def end(self) -> Value:
        """How it ended last; absent when it never did."""
        now = at(self.status, "state", "terminated")
        return at(self.status, "lastState", "terminated") if now is Marker.ABSENT else now

    @property
    def end_reason(self) -> str:
        """The word for it; `OOMKilled` is one."""
        return text(at(self.end, "reason"))

    @property
    def end_message(self) -> str:
        """What it said at its end: its last lines, as far as they are whole."""
        return whole(text(at(self.end, "message")))

    @property
    def exit_code(self) -> int:
        """Its exit code."""
        return number(at(self.end, "exitCode"))

    @property
    def crashes(self) -> int:
        """How often it ended."""
        return self.restarts + (0 if self.runs else 1) if self.end_reason else 0

    @property
    def log(self) -> Log:
        """Its lines: of the process that ended last when it has been started again since."""
        ended_now = at(self.status, "state", "terminated") is not Marker.ABSENT
        return Log(self.pod.name, self.name, previous=self.restarts > 0 and not ended_now)

    def found(
        self, rank: Rank, cause: str, evidence: tuple[str, ...], fix: str, *, trace: object,
        patience_seconds: float | None, log: Log | None = None,
    ) -> Finding:
        """A finding on this container."""
        rank = Rank.MIGRATION if self.release.workload.kind == "Job" else rank
        return Finding(
            rank=rank, subject=self.release.name, urn=self.release.workload.urn, cause=cause,
            evidence=tuple(line for line in evidence if line), fix=fix, objects=(self.pod.name,),
            traces=frozenset({f"{self.pod.uid} {trace}"}), log=log, patience_seconds=patience_seconds,
        )


def cases(seen: Observed, advice: Advice, release: Release) -> Iterator[Case]:
    """Every container of the newest pods, those that run first of each pod first."""
    for pod in release.pods:
        is_replaced = release.workload.kind in _REPLACED and is_dead(pod)
        if is_replaced or pod.at("metadata", "deletionTimestamp") is not Marker.ABSENT:
            continue
        for specs, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
            known = {text(at(each, "name")): each for each in items(pod.at("status", statuses))}
            for spec in items(pod.at("spec", specs)):
                yield Case(seen, advice, release, pod, spec, known.get(text(at(spec, "name"))))
