"""What a reader wants to know about a resource, in a few words each.

Owns the choice of facts and their wording, from records alone. Deliberately shows nothing of a secret but its name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi_platform_policy.draining import DEFAULT_GRACE_SECONDS, Unreadable, drain_budget
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record, Value, at, items, mapping, text
from fastapi_platform_policy.traffic import DIRECTIONS, denies
from fastapi_platform_policy.workloads import Container, Workload, kubernetes_kind, of_record


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about a resource."""

    label: str
    value: str


def facts(program: Program, record: Record) -> tuple[Fact, ...]:
    """Facts about a resource, most important first; none for kinds that say all by their name."""
    workload = of_record(record)
    if workload is not None:
        return tuple(_of_workload(program, workload))
    found = _BY_KIND.get(kubernetes_kind(record))
    return tuple(found(record)) if found else ()


def shown(value: Value) -> str:
    """A value as a reader sees it."""
    if isinstance(value, Marker):
        return value.value
    return str(value)


def _of_workload(program: Program, workload: Workload) -> Iterator[Fact]:
    for container in workload.containers():
        name = f" ({container.name})" if container.starts_first else ""
        yield Fact(f"image{name}", shown(container.at("image")))
        command = [shown(word) for word in (*items(container.at("command")), *items(container.at("args")))]
        if command:
            yield Fact(f"runs{name}", " ".join(command))
    yield from _replicas(program, workload)
    yield from _clock(workload)
    for container in workload.containers():
        yield from _probes(container)
        yield Fact("uses", _resources(container))
    yield from _stops(workload)


def _replicas(program: Program, workload: Workload) -> Iterator[Fact]:
    for scaler in program.autoscalers.get(workload.urn, []):
        low, high = scaler.at("spec", "minReplicas"), scaler.at("spec", "maxReplicas")
        target = scaler.at("spec", "metrics", 0, "resource", "target", "averageUtilization")
        aim = "" if isinstance(target, Marker) else f" at {target} % CPU"
        yield Fact("replicas", f"{shown(low)} to {shown(high)}{aim}")
        return
    stated = workload.record.at("spec", "replicas")
    if workload.kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        yield Fact("replicas", "1" if stated is Marker.ABSENT else shown(stated))


def _clock(workload: Workload) -> Iterator[Fact]:
    record = workload.record
    if workload.kind == "CronJob":
        zone = record.at("spec", "timeZone")
        yield Fact("schedule", shown(record.at("spec", "schedule")) + ("" if zone is Marker.ABSENT else f" {zone}"))
        deadline = record.at("spec", "jobTemplate", "spec", "activeDeadlineSeconds")
    else:
        deadline = record.at("spec", "activeDeadlineSeconds")
    if deadline is not Marker.ABSENT:
        yield Fact("deadline", f"{shown(deadline)} s")


def _probes(container: Container) -> Iterator[Fact]:
    questions = [
        f"{kind} {_question(container.at(f'{kind}Probe'))}"
        for kind in ("startup", "readiness", "liveness")
        if container.at(f"{kind}Probe") is not Marker.ABSENT
    ]
    if questions:
        yield Fact("probes", " · ".join(questions))


def _question(probe: Value) -> str:
    path, port = at(probe, "httpGet", "path"), at(probe, "tcpSocket", "port")
    asked = shown(path) if path is not Marker.ABSENT else f"port {shown(port)}" if port is not Marker.ABSENT else "exec"
    period, failures = at(probe, "periodSeconds"), at(probe, "failureThreshold")
    return f"{asked} {_or(period, 10)} s x {_or(failures, 3)}"


def _or(value: Value, default: int) -> str:
    """A stated value, else Kubernetes' own default."""
    return str(default) if value is Marker.ABSENT else shown(value)


def _resources(container: Container) -> str:
    requests, limits = (mapping(container.at("resources", kind)) for kind in ("requests", "limits"))
    parts = [_amount(name, requests, limits) for name in ("cpu", "memory", "ephemeral-storage")]
    return " · ".join(part for part in parts if part) or "nothing stated"


def _amount(name: str, requests: Mapping[str, Value], limits: Mapping[str, Value]) -> str:
    request, limit = requests.get(name), limits.get(name)
    if request is None and limit is None:
        return ""
    if limit is None:
        return f"{name} {shown(request)}, no limit"
    return f"{name} {shown(limit)}" if request in (None, limit) else f"{name} {shown(request)} to {shown(limit)}"


def _stops(workload: Workload) -> Iterator[Fact]:
    found = drain_budget(workload)
    grace = workload.pod("terminationGracePeriodSeconds")
    killed = _or(grace, DEFAULT_GRACE_SECONDS)
    if isinstance(found, Unreadable):
        yield Fact("stops", f"killed after {killed} s")
        return
    budget = found.budget
    yield Fact(
        "stops",
        f"preStop {budget.pre_stop_seconds} s, lame duck {budget.lame_duck_seconds} s, "
        f"graceful {budget.graceful_timeout_seconds} s, killed after {killed} s",
    )


def _service(record: Record) -> Iterator[Fact]:
    kind = record.at("spec", "type")
    headless = record.at("spec", "clusterIP") == "None"
    ports = [f"{shown(at(port, 'port'))} to {_target(port)}" for port in items(record.at("spec", "ports"))]
    name = "headless" if headless else "ClusterIP" if kind is Marker.ABSENT else shown(kind)
    yield Fact("ports", f"{name} {', '.join(ports)}")


def _target(port: Value) -> str:
    target = at(port, "targetPort")
    return shown(at(port, "port") if target is Marker.ABSENT else target)


def _policy(record: Record) -> Iterator[Fact]:
    denied = " and ".join(direction.lower() for direction in DIRECTIONS if denies(record, direction) is not False)
    unsure = None in [denies(record, direction) for direction in DIRECTIONS]
    yield Fact("denies", f"{denied}{' (not all known yet)' if unsure else ''} but what follows")
    for direction, key in (("ingress", "from"), ("egress", "to")):
        flows = [_flow(rule, key) for rule in items(record.at("spec", direction))]
        if flows:
            yield Fact(key, "; ".join(flows))


def _flow(rule: Value, key: str) -> str:
    peers = [_peer(peer) for peer in items(at(rule, key))] or ["anywhere"]
    ports = [shown(at(port, "port")) for port in items(at(rule, "ports"))] or ["any port"]
    return f"{', '.join(peers)} on {', '.join(dict.fromkeys(ports))}"


def _peer(peer: Value) -> str:
    cidr = at(peer, "ipBlock", "cidr")
    if cidr is not Marker.ABSENT:
        return shown(cidr)
    labels = mapping(at(peer, "podSelector", "matchLabels"))
    plain = ", ".join(f"{key}={shown(value)}" for key, value in labels.items())
    name = text(labels.get("app.kubernetes.io/instance")) or plain
    space = text(at(peer, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"))
    return f"{name or 'all pods'}{f' of {space}' if space else ''}"


def _disruption(record: Record) -> Iterator[Fact]:
    for key in ("maxUnavailable", "minAvailable"):
        if record.at("spec", key) is not Marker.ABSENT:
            yield Fact("evicts", f"{key} {shown(record.at('spec', key))}")


def _namespace(record: Record) -> Iterator[Fact]:
    level = record.at("metadata", "labels", "pod-security.kubernetes.io/enforce")
    yield Fact("pods", "anything goes" if level is Marker.ABSENT else f"Pod Security {shown(level)}")


def _keys(record: Record) -> Iterator[Fact]:
    keys = sorted({*mapping(record.at("data")), *mapping(record.at("stringData"))})
    yield Fact("keys", ", ".join(keys) or "[secret]")


_BY_KIND: Mapping[str, Callable[[Record], Iterator[Fact]]] = {
    "ConfigMap": _keys,
    "Namespace": _namespace,
    "NetworkPolicy": _policy,
    "PodDisruptionBudget": _disruption,
    "Secret": _keys,
    "Service": _service,
}
