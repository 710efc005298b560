"""Whatever makes pods, read from its record.

Owns the reading of Kubernetes' workload kinds. Deliberately knows nothing of the components that may have made them, so
that a program of raw resources is read in the same way.
Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastapi_platform.planning import labels
from fastapi_platform.planning.environment import Environment

from .record import Marker, Record, Value, at, items, mapping, text

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "Pod": (),
    "ReplicaSet": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
}
"""Where each kind of workload keeps its pod template."""
RUN_ONCE = frozenset({"Job", "CronJob"})
_PREFIX = "kubernetes:"


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod template."""

    name: str
    spec: Value
    starts_first: bool
    """Whether it runs before the others (an init container)."""

    def at(self, *path: str | int) -> Value:
        """What stands at a path of the container."""
        return at(self.spec, *path)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods."""

    record: Record
    kind: str
    template: Value
    """Its pod template, with `metadata` and `spec`."""

    @property
    def urn(self) -> str:
        """URN of the object."""
        return self.record.urn

    @property
    def name(self) -> str:
        """Name of the object where it is stated, else its logical name."""
        return text(self.record.at("metadata", "name")) or self.record.name

    @property
    def namespace(self) -> Value:
        """Namespace as it is stated."""
        return self.record.at("metadata", "namespace")

    @property
    def labels(self) -> Value:
        """Labels of its pods; absent when there are none."""
        return at(self.template, "metadata", "labels")

    @property
    def runs_once(self) -> bool:
        """Whether its pods end by themselves."""
        return self.kind in RUN_ONCE

    def pod(self, *path: str | int) -> Value:
        """What stands at a path of the pod's spec."""
        return at(self.template, "spec", *path)

    def containers(self) -> Iterator[Container]:
        """All containers, init containers first."""
        for key, first in (("initContainers", True), ("containers", False)):
            for spec in items(self.pod(key)):
                yield Container(text(at(spec, "name")) or "?", spec, first)

    def environment(self, assumed: Environment) -> Environment:
        """What the workload's stack promises, by its label."""
        label = text(self.record.at("metadata", "labels", labels.ENVIRONMENT))
        return Environment(label) if label in set(Environment) else assumed


def of_record(record: Record) -> Workload | None:
    """The workload that a record describes, if it describes one."""
    kind = kubernetes_kind(record)
    if kind not in TEMPLATES:
        return None
    if kind == "Pod":
        return Workload(record, kind, {"metadata": mapping(record.at("metadata")), "spec": record.at("spec")})
    return Workload(record, kind, record.at(*TEMPLATES[kind]))


def kubernetes_kind(record: Record) -> str:
    """Kind of a Kubernetes object, a patch of one included; empty for anything else."""
    if not (record.custom and record.type.startswith(_PREFIX)):
        return ""
    return record.type.rpartition(":")[2].removesuffix("Patch")


def same_namespace(one: Value, other: Value) -> bool:
    """Whether two objects may be in one namespace: unknown or unstated namespaces may be any."""
    unstated = (Marker.ABSENT, Marker.UNKNOWN)
    return one in unstated or other in unstated or one == other


def full_name(record: Record) -> str:
    """How people call an object: kind and name; a patch is called one, because it creates nothing."""
    kind = record.type.rpartition(":")[2] if kubernetes_kind(record) else record.type
    return f"{kind} {text(record.at('metadata', 'name')) or record.name}"
