"""What a stack wants to run, beside what its cluster runs.

Owns which objects of a cluster matter: those of the newest release; pods of an older one are the old version.
Deliberately takes the newest for the stack's own only when its pods are those that the program describes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastapi_platform.planning import quantities
from fastapi_platform.planning.labels import INSTANCE
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Value, at, items, mapping, text
from fastapi_platform_policy.workloads import TEMPLATES, Workload

from .observed import Live, Observed, labels_of

REVISION = "deployment.kubernetes.io/revision"
_TELLS_RELEASES = ("image", "command", "args", "env", "envFrom", "startupProbe", "livenessProbe", "readinessProbe")


@dataclass(frozen=True, slots=True)
class Batch:
    """Pods that are made alike."""

    maker: Live
    """A ReplicaSet; a StatefulSet, DaemonSet or Job itself."""
    pods: tuple[Live, ...]

    @property
    def ready(self) -> int:
        """How many of them can serve."""
        return sum(pod.is_true("Ready") and pod.at("metadata", "deletionTimestamp") is Marker.ABSENT
                   for pod in self.pods)  # fmt: skip

    @property
    def alive(self) -> int:
        """How many of them are not dead; a node that went away leaves some behind."""
        return sum(not is_dead(pod) for pod in self.pods)

    @property
    def revision(self) -> str:
        """Number of the release, where a Deployment counts them."""
        return text(self.maker.at("metadata", "annotations", REVISION))

    @property
    def image(self) -> str:
        """The image of its first container."""
        return text(self.maker.at("spec", "template", "spec", "containers", 0, "image"))


@dataclass(frozen=True, slots=True)
class Release:
    """One workload of a stack, as the cluster has it."""

    workload: Workload
    live: Live | None = None
    """The object; none when it is not there."""
    newest: Batch | None = None
    older: tuple[Batch, ...] = ()
    """Those that still have pods."""

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.workload.kind} {self.live.name if self.live else self.workload.name}"

    @property
    def is_named(self) -> bool:
        """Whether its name is stated; the deploy makes one up for any other, and nobody can say that it is missing."""
        return bool(_stated_name(self.workload))

    @property
    def is_wanted(self) -> bool:
        """Whether the newest pods are those that the stack describes, not those of the deploy before."""
        return self.newest is not None and _same_pods(
            self.workload.template, _template(self.workload, self.newest.maker)
        )

    @property
    def pods(self) -> tuple[Live, ...]:
        """The newest pods."""
        return self.newest.pods if self.newest else ()


def releases(program: Program, seen: Observed) -> tuple[Release, ...]:
    """Every workload of a program, in the order of its records."""
    return tuple(_release(workload, seen) for workload in program.workloads)


def is_dead(pod: Live) -> bool:
    """Whether nothing of it will run again."""
    return text(pod.at("status", "phase")) in ("Failed", "Succeeded")


def agrees(wanted: Value, live: Value) -> bool:
    """Whether a live value has everything that is wanted.

    The cluster adds defaults, drops what is false, empty or 0, and writes quantities its way.
    """
    if wanted is None or isinstance(wanted, Marker) or (not wanted and live in (None, Marker.ABSENT)):
        return True
    if isinstance(wanted, Mapping):
        return all(agrees(value, at(live, key)) for key, value in mapping(wanted).items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        found = items(live)
        return len(found) == len(wanted) and all(map(agrees, wanted, found))
    return wanted == live or _same_quantity(wanted, live)


def _same_quantity(one: Value, other: Value) -> bool:
    value, another = (quantities.parse(str(each)) for each in (one, other))
    return value is not None and value == another


def _same_pods(wanted: Value, live: Value) -> bool:
    """Whether containers are alike in all that the cluster leaves as it is; some clusters round resources up."""
    for group in ("initContainers", "containers"):
        ours, theirs = items(at(wanted, "spec", group)), items(at(live, "spec", group))
        if len(ours) != len(theirs):
            return False
        if not all(map(_same_container, ours, theirs)):
            return False
    return True


def _same_container(wanted: Value, live: Value) -> bool:
    return all(agrees(at(wanted, field), at(live, field)) for field in _TELLS_RELEASES) and all(
        quantities.at_most(str(least), str(at(live, "resources", kind, name)))
        for kind in ("requests", "limits")
        for name, least in mapping(at(wanted, "resources", kind)).items()
    )


def _template(workload: Workload, maker: Live) -> Value:
    if workload.kind == "Pod":
        return maker.body
    return maker.at("spec", "template")


def _release(workload: Workload, seen: Observed) -> Release:
    live = seen.named(workload.kind, workload.name) if _stated_name(workload) else _by_labels(workload, seen)
    if live is None and workload.kind == "Job":
        live = _job_before(workload, seen)
    if live is None:
        return Release(workload)
    match workload.kind:
        case "Deployment":
            batches = sorted(_batches(seen, live, "ReplicaSet"), key=lambda batch: int(batch.revision or 0))
        case "CronJob":
            batches = list(_batches(seen, live, "Job"))[-1:]
        case "Pod":
            batches = [Batch(live, (live,))]
        case _:
            batches = [Batch(live, seen.made_by(live, "Pod"))]
    if not batches:
        return Release(workload, live)
    return Release(workload, live, batches[-1], tuple(batch for batch in batches[:-1] if batch.pods))


def _stated_name(workload: Workload) -> str:
    return text(workload.record.at("metadata", "name"))


def _by_labels(workload: Workload, seen: Observed) -> Live | None:
    """The one object whose pods have the labels that the stack gives them; none when it could be several."""
    found = [
        each for each in seen.of_kind(workload.kind)
        if mapping(workload.labels) and not each.owner
        and agrees(workload.labels, each.at(*_labels_path(workload.kind)))
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _labels_path(kind: str) -> tuple[str, ...]:
    return (*TEMPLATES[kind], "metadata", "labels")


def _batches(seen: Observed, live: Live, kind: str) -> Iterator[Batch]:
    for maker in seen.made_by(live, kind):
        yield Batch(maker, seen.made_by(maker, "Pod"))


def _job_before(workload: Workload, seen: Observed) -> Live | None:
    """The Job of the release before: every release has one of another name."""
    instance = text(at(workload.labels, INSTANCE))
    found = [
        job for job in seen.of_kind("Job")
        if instance and not job.owner and text(labels_of(job).get(INSTANCE)) == instance
    ]  # fmt: skip
    return max(found, key=lambda job: job.created, default=None)

