"""What serves is asked the right questions, and stops without failing a request.

Sources: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

from collections.abc import Iterator

from ..draining import Unreadable, drain_budget
from ..program import Program
from ..record import Marker, Value
from ..rule import Answer, Rule, Severity, Thresholds, unknown, verdict_of
from ..workloads import Container, Workload

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def _probes(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.served:
        containers = [container for container in workload.containers() if _listens(container)]
        if not containers:
            yield unknown(workload.urn, "no container states a port, so none can be told to serve")
            continue
        wrong = [problem for container in containers for problem in _probe_problems(container)]
        yield verdict_of(workload.urn, wrong, _unknown_probes(containers))


def _listens(container: Container) -> bool:
    return not container.starts_first and container.at("ports") is not Marker.ABSENT


def _probe_problems(container: Container) -> Iterator[str]:
    missing = [probe for probe in PROBES if container.at(probe) is Marker.ABSENT]
    if missing:
        yield f"container {container.name} has no {', '.join(missing)}"
    ready, live = (_question(container, probe) for probe in ("readinessProbe", "livenessProbe"))
    if ready == live and isinstance(ready, str):
        yield f"container {container.name} asks {ready} for readiness and for liveness"


def _question(container: Container, probe: str) -> Value:
    """What an HTTP probe asks for; other probes ask about a port or a command and may be the same."""
    return container.at(probe, "httpGet", "path")


def _unknown_probes(containers: list[Container]) -> list[str]:
    return [
        f"{probe} of container {container.name} is known only after the deployment"
        for container in containers
        for probe in PROBES
        if container.at(probe) is Marker.UNKNOWN
    ]


def _drain(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.served:
        if not _speaks_http(workload):
            continue
        found = drain_budget(workload)
        if isinstance(found, Unreadable):
            yield verdict_of(workload.urn, found.wrong, found.unsure)
            continue
        broken = [
            f"{condition.text} does not hold: {condition.numbers}, because {condition.why}"
            for condition in found.budget.inequalities()
            if not condition.holds
        ]
        yield verdict_of(workload.urn, broken, found.unsure)


def _speaks_http(workload: Workload) -> bool:
    return workload.kind == "Deployment" and any(
        isinstance(_question(container, probe), str) for container in workload.containers() for probe in PROBES
    )


RULES = (
    Rule(
        name="probes-on-their-own-terms",
        check=_probes,
        controls=("three-probes", "liveness-readiness-split"),
        fix="Set startupProbe, readinessProbe and livenessProbe; liveness asks a path that touches no dependency.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
        why="Requests reach pods that are not ready, or a slow database restarts every pod at once.",
    ),
    Rule(
        name="drain-budget-holds",
        check=_drain,
        controls=("termination-grace-prestop", "graceful-drain"),
        fix="Set preStop.sleep and a terminationGracePeriodSeconds of at least preStop + lame duck + graceful + 5.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
        why="Requests fail at every release, scale-down and node upgrade.",
    ),
)
