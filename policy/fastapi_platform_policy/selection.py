"""Which pods a selector really picks, for every object that selects pods.

Owns the matching, and the proof table that the preview prints. Deliberately judges by labels alone, as the cluster
does: what an author meant is in `rules/selectors.py`.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .record import Marker, Record, Value, at, items, mapping, text
from .workloads import Workload, kubernetes_kind, same_namespace

CONTROLLERS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})


@dataclass(frozen=True, slots=True)
class Selection:
    """One object that selects pods, and the workloads whose pods it picks."""

    record: Record
    role: str
    """`Service`, `PodDisruptionBudget`, `NetworkPolicy`, `HorizontalPodAutoscaler`, or the kind of a controller."""
    selector: Value
    """Equality labels, or a label selector with `matchLabels` and `matchExpressions`."""
    workloads: tuple[Workload, ...]
    unsure: tuple[Workload, ...] = ()
    """Workloads that cannot be told yet, because a label or the selector is unknown."""

    @property
    def everything(self) -> bool:
        """Whether the selector is there and empty: then it picks every pod of the namespace. Never so for a Service."""
        return isinstance(self.selector, Mapping) and not _requirements(self.selector)


class PodIndex:
    """Workloads by label and by name, so that a thousand selectors need not look at a thousand workloads each."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self._all = workloads
        self._unreadable = [workload for workload in workloads if not isinstance(workload.labels, Mapping)]
        self._by_label: defaultdict[tuple[str, Value], list[Workload]] = defaultdict(list)
        self._by_key: defaultdict[str, list[Workload]] = defaultdict(list)
        self._by_name: defaultdict[tuple[str, str], list[Workload]] = defaultdict(list)
        for workload in workloads:
            self._by_name[workload.kind, workload.name].append(workload)
            for key, value in mapping(workload.labels).items():
                if isinstance(value, str):
                    self._by_label[key, value].append(workload)
                else:
                    self._by_key[key].append(workload)

    def candidates(self, selector: Value) -> Iterable[Workload]:
        """Workloads that a selector may pick: those with the rarest of its labels, or all of them."""
        pairs = [
            (requirement.key, value)
            for requirement in _requirements(selector)
            if requirement.operator == "In" and len(requirement.values) == 1
            if isinstance(value := requirement.values[0], str)
        ]
        if not pairs:
            return self._all
        key, value = min(pairs, key=lambda pair: len(self._by_label[pair]))
        return [*self._by_label[key, value], *self._by_key[key], *self._unreadable]

    def named(self, kind: Value, name: Value, namespace: Value) -> tuple[Workload, ...]:
        """Workloads of a kind and name that may be in a namespace."""
        found = self._by_name[text(kind), text(name)]
        return tuple(workload for workload in found if same_namespace(workload.namespace, namespace))

    def selection(self, record: Record, role: str, selector: Value) -> Selection:
        """What a selector of an object picks within the object's namespace."""
        namespace = record.at("metadata", "namespace")
        verdicts = [
            (workload, picks(selector, workload.labels))
            for workload in self.candidates(selector)
            if same_namespace(workload.namespace, namespace)
        ]
        return Selection(
            record,
            role,
            selector,
            tuple(workload for workload, picked in verdicts if picked),
            tuple(workload for workload, picked in verdicts if picked is None),
        )


def of_record(record: Record, index: PodIndex) -> Iterator[Selection]:
    """The selections that an object makes: none for most, one for what selects pods."""
    match kubernetes_kind(record):
        case "Service":
            selector = record.at("spec", "selector")
            # Without labels to look for a Service picks nothing: somebody else writes its endpoints.
            if selector not in (Marker.ABSENT, {}):
                yield index.selection(record, "Service", selector)
        case "PodDisruptionBudget":
            yield index.selection(record, "PodDisruptionBudget", record.at("spec", "selector"))
        case "NetworkPolicy":
            yield index.selection(record, "NetworkPolicy", _stated(record.at("spec", "podSelector")))
        case "HorizontalPodAutoscaler":
            # An autoscaler counts the pods that its target's selector picks.
            for workload in scale_targets(record, index):
                yield index.selection(record, "HorizontalPodAutoscaler", workload.record.at("spec", "selector"))
        case kind if kind in CONTROLLERS:
            yield index.selection(record, kind, record.at("spec", "selector"))
        case _:
            return


def scale_targets(autoscaler: Record, index: PodIndex) -> tuple[Workload, ...]:
    """The workloads that an autoscaler names."""
    target = autoscaler.at("spec", "scaleTargetRef")
    return index.named(at(target, "kind"), at(target, "name"), autoscaler.at("metadata", "namespace"))


def picks(selector: Value, pod_labels: Value) -> bool | None:
    """Whether a selector picks pods with these labels; None when a label that decides is not known."""
    if isinstance(selector, Marker):
        return None if selector is Marker.UNKNOWN else False
    if pod_labels is Marker.UNKNOWN:
        return None
    answers = [_holds(requirement, pod_labels) for requirement in _requirements(selector)]
    if False in answers:
        return False
    return None if None in answers else True


def selected_keys(selector: Value) -> tuple[str, ...]:
    """Label keys that a selector looks at."""
    return tuple(requirement.key for requirement in _requirements(selector))


@dataclass(frozen=True, slots=True)
class _Requirement:
    key: str
    operator: str
    values: tuple[Value, ...]


def _requirements(selector: Value) -> list[_Requirement]:
    """The conditions of a label selector, or of a Service's plain labels."""
    fields = mapping(selector)
    if not ({"matchLabels", "matchExpressions"} & set(fields)):
        return [_Requirement(key, "In", (value,)) for key, value in fields.items()]
    equal = mapping(at(selector, "matchLabels"))
    return [
        *(_Requirement(key, "In", (value,)) for key, value in equal.items()),
        *(
            _Requirement(
                text(at(expression, "key")), text(at(expression, "operator")), tuple(items(at(expression, "values")))
            )
            for expression in items(at(selector, "matchExpressions"))
        ),
    ]


def _holds(requirement: _Requirement, pod_labels: Value) -> bool | None:
    value = at(pod_labels, requirement.key)
    match requirement.operator:
        case "Exists":
            return value is not Marker.ABSENT
        case "DoesNotExist":
            return value is Marker.ABSENT
        case "NotIn":
            inside = _inside(value, requirement.values)
            return None if inside is None else not inside
        case _:
            return _inside(value, requirement.values)


def _inside(value: Value, values: tuple[Value, ...]) -> bool | None:
    if value is Marker.ABSENT:
        return False
    if value is Marker.UNKNOWN or Marker.UNKNOWN in values:
        return None
    return value in values


def _stated(selector: Value) -> Value:
    """A policy's pod selector: an absent one means the same as an empty one."""
    return {} if selector is Marker.ABSENT else selector
