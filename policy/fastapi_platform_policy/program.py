"""A program as its records describe it: workloads, what selects them, and what waits for what.

Owns the indexes that rules and reports share; each is computed once. Deliberately holds no opinion.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from . import selection, workloads
from .record import Record
from .selection import PodIndex, Selection
from .workloads import Workload, kubernetes_kind


class Program:
    """The records of a program, indexed."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = tuple(records)
        self.by_urn = {record.urn: record for record in self.records}

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Everything that makes pods, in the order of the records."""
        found = (workloads.of_record(record) for record in self.records)
        return tuple(workload for workload in found if workload is not None)

    @cached_property
    def pods(self) -> PodIndex:
        """The workloads by label and by name."""
        return PodIndex(self.workloads)

    @cached_property
    def selections(self) -> tuple[Selection, ...]:
        """Every object that selects pods, in the order of the records."""
        return tuple(found for record in self.records for found in selection.of_record(record, self.pods))

    @cached_property
    def served(self) -> tuple[Workload, ...]:
        """Workloads whose pods a Service sends requests to."""
        urns = {
            workload.urn
            for found in self.selections
            if found.role == "Service"
            for workload in found.workloads
            if not workload.runs_once
        }
        return tuple(workload for workload in self.workloads if workload.urn in urns)

    @cached_property
    def autoscalers(self) -> dict[str, list[Record]]:
        """Autoscalers by the URN of the workload that they name."""
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for record in self.of_kind("HorizontalPodAutoscaler"):
            for workload in selection.scale_targets(record, self.pods):
                found[workload.urn].append(record)
        return dict(found)

    @cached_property
    def policies(self) -> dict[str, list[Selection]]:
        """Network policies that pick, or may pick, a workload's pods, by its URN."""
        return self._by_workload("NetworkPolicy")

    @cached_property
    def budgets(self) -> dict[str, list[Selection]]:
        """Disruption budgets that pick, or may pick, a workload's pods, by its URN."""
        return self._by_workload("PodDisruptionBudget")

    @cached_property
    def _by_kind(self) -> dict[str, list[Record]]:
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for record in self.records:
            found[kubernetes_kind(record)].append(record)
        return dict(found)

    def of_kind(self, kind: str) -> Sequence[Record]:
        """Kubernetes objects of one kind, whatever their API version."""
        return self._by_kind.get(kind, ())

    def waits_for(self, record: Record) -> frozenset[str]:
        """URNs of everything that must exist before a resource: its own dependencies, its ancestors', and theirs."""
        found: set[str] = set()
        pending = [record.urn]
        while pending:
            current = self.by_urn.get(pending.pop())
            if current is None:
                continue
            needed = {*current.dependencies, *([current.parent] if current.parent else [])} - found
            found |= needed
            pending.extend(needed)
        return frozenset(found)

    def _by_workload(self, role: str) -> dict[str, list[Selection]]:
        found: defaultdict[str, list[Selection]] = defaultdict(list)
        for picked in self.selections:
            if picked.role == role:
                for workload in (*picked.workloads, *picked.unsure):
                    found[workload.urn].append(picked)
        return dict(found)
