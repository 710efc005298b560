"""What a pod may do: nothing more than its work needs.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Callable, Iterable, Iterator

from fastapi_platform.planning import quantities

from ..program import Program
from ..record import Marker, Value, at, differs, items, mapping, text, unknown_paths
from ..rule import Answer, Rule, Severity, Thresholds, verdict_of
from ..workloads import Container, Workload

RESTRICTED = "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"
VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
"""Volume types that the restricted level admits."""
HOST_SHARING = ("hostNetwork", "hostPID", "hostIPC")


def _restricted(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        wrong = [*_pod_problems(workload), *_each(workload, _privileges)]
        yield verdict_of(workload.urn, wrong, _unsure(workload, "securityContext"))


def _pod_problems(workload: Workload) -> Iterator[str]:
    for key in HOST_SHARING:
        if workload.pod(key) is True:
            yield f"{key} is true"
    if not _somewhere(workload, ("runAsNonRoot",), True):
        yield "runAsNonRoot is not true for every container"
    if not _somewhere(workload, ("seccompProfile", "type"), "RuntimeDefault", "Localhost"):
        yield "seccompProfile is not RuntimeDefault for every container"
    if workload.pod("securityContext", "runAsUser") == 0:
        yield "runAsUser is 0"
    for volume in items(workload.pod("volumes")):
        for kind in set(mapping(volume)) - VOLUMES - {"name"}:
            yield f"volume {text(at(volume, 'name'))} is a {kind}"


def _privileges(container: Container) -> Iterator[str]:
    context = "securityContext"
    if container.at(context, "privileged") is True:
        yield "privileged is true"
    if differs(container.at(context, "allowPrivilegeEscalation"), False):
        yield "allowPrivilegeEscalation is not false"
    dropped = container.at(context, "capabilities", "drop")
    if dropped is not Marker.UNKNOWN and "ALL" not in items(dropped):
        yield "capabilities.drop does not name ALL"
    if set(items(container.at(context, "capabilities", "add"))) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add names more than NET_BIND_SERVICE"
    if container.at(context, "runAsUser") == 0:
        yield "runAsUser is 0"


def _somewhere(workload: Workload, path: tuple[str, ...], *accepted: Value) -> bool:
    """Whether a setting holds for every container, by the pod or by the container itself, which wins."""
    of_pod = workload.pod("securityContext", *path)
    own = [container.at("securityContext", *path) for container in workload.containers()]
    return not any(differs(of_pod if value is Marker.ABSENT else value, *accepted) for value in own)


def _read_only(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        yield verdict_of(
            workload.urn,
            [*_each(workload, _writable_root), *_unsized(workload)],
            _unsure(workload, "securityContext"),
        )


def _writable_root(container: Container) -> Iterator[str]:
    if differs(container.at("securityContext", "readOnlyRootFilesystem"), True):
        yield "readOnlyRootFilesystem is not true"


def _unsized(workload: Workload) -> Iterator[str]:
    for volume in items(workload.pod("volumes")):
        if at(volume, "emptyDir") is not Marker.ABSENT and at(volume, "emptyDir", "sizeLimit") is Marker.ABSENT:
            yield f"emptyDir {text(at(volume, 'name'))} has no sizeLimit"


def _resources(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        yield verdict_of(workload.urn, _each(workload, _sizes), _unsure(workload, "resources"))


def _sizes(container: Container) -> Iterator[str]:
    for path in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"), ("limits", "ephemeral-storage")):
        if container.at("resources", *path) is Marker.ABSENT:
            yield f"resources.{'.'.join(path)} is missing"
    for name in ("cpu", "memory", "ephemeral-storage"):
        request, limit = (container.at("resources", kind, name) for kind in ("requests", "limits"))
        if isinstance(request, str) and isinstance(limit, str) and not quantities.at_most(request, limit):
            yield f"resources.limits.{name} ({limit}) is below the request ({request})"


def _identity(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        account, wrong = workload.pod("serviceAccountName"), list[str]()
        if account in (Marker.ABSENT, "default", ""):
            wrong.append("it runs as the namespace's default service account")
        mounted = workload.pod("automountServiceAccountToken")
        if differs(mounted, False):
            wrong.append("automountServiceAccountToken of the pod is not false")
        unsure = Marker.UNKNOWN in (account, mounted)
        yield verdict_of(workload.urn, wrong, ["its identity is known only after the deployment"] if unsure else [])


def _each(workload: Workload, problems: Callable[[Container], Iterable[str]]) -> list[str]:
    return [
        f"container {container.name}: {problem}"
        for container in workload.containers()
        for problem in problems(container)
    ]


def _unsure(workload: Workload, key: str) -> list[str]:
    if workload.pod("containers") is Marker.UNKNOWN:
        return ["its containers are known only after the deployment"]
    found = [f"{key} of container {container.name}" for container in workload.containers() if _open(container.at(key))]
    found += [f"{key} of the pod"] if _open(workload.pod(key)) else []
    return [f"{name} is known only after the deployment" for name in found]


def _open(value: Value) -> bool:
    return bool(unknown_paths(value))


RULES = (
    Rule(
        name="pods-restricted",
        check=_restricted,
        controls=("non-root-container",),
        fix="Run as a numeric user, drop ALL capabilities, forbid escalation, set seccompProfile RuntimeDefault.",
        severity=Severity.HIGH,
        url=RESTRICTED,
        why="Whoever takes over the process gets more than it had, and a restricted namespace refuses the pod.",
    ),
    Rule(
        name="root-filesystem-read-only",
        check=_read_only,
        controls=("read-only-root-filesystem",),
        fix="Set readOnlyRootFilesystem: true and mount an emptyDir with a sizeLimit where files are written.",
        severity=Severity.MEDIUM,
        url="https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
        why="Whoever gets in can change the program, and a log file can fill the node's disk.",
    ),
    Rule(
        name="resources-sized",
        check=_resources,
        controls=("resource-requests-and-memory-limit",),
        fix="Set requests for cpu and memory, and limits for memory and ephemeral-storage, on every container.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        why="The scheduler cannot place the pod, and under pressure it is the first or takes its neighbours along.",
    ),
    Rule(
        name="identity-per-workload",
        check=_identity,
        controls=("least-privilege-service-account",),
        fix="Give the workload a service account of its own and set automountServiceAccountToken: false.",
        severity=Severity.MEDIUM,
        url="https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
        why="A right that is granted to one workload is granted to all, and a stolen token opens the cluster's API.",
    ),
)
