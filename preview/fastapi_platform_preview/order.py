"""In which order the engine would create things.

Owns the steps of a deploy and its gates. Deliberately follows what the engine does: a resource waits for its own
dependencies, and for its parent, which waits for its own.
"""

from collections import defaultdict
from dataclasses import dataclass

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Record
from fastapi_platform_policy.workloads import kubernetes_kind


@dataclass(frozen=True, slots=True)
class Step:
    """Resources that can be created at the same time, once the step before is done."""

    number: int
    """From 1."""
    records: tuple[Record, ...]
    """Sorted by URN; components and providers are left out, they create nothing by themselves."""
    gates: tuple[Record, ...]
    """Jobs among them that something later waits for: the deploy ends here when one fails."""


def steps(program: Program) -> tuple[Step, ...]:
    """The steps of a deploy, first to last."""
    levels = _levels(program)
    awaited = {urn for record in program.records for urn in record.dependencies}
    by_level: defaultdict[int, list[Record]] = defaultdict(list)
    for record in program.records:
        if record.custom and not record.type.startswith("pulumi:providers:"):
            by_level[levels[record.urn]].append(record)
    return tuple(
        Step(number, tuple(records), tuple(_gates(records, awaited)))
        for number, (_, records) in enumerate(sorted(by_level.items()), start=1)
    )


def deploy_order(program: Program) -> tuple[Record, ...]:
    """Everything that is created, in the order in which it can be."""
    return tuple(record for step in steps(program) for record in step.records)


def _gates(records: list[Record], awaited: set[str]) -> list[Record]:
    return [record for record in records if kubernetes_kind(record) == "Job" and record.urn in awaited]


def _levels(program: Program) -> dict[str, int]:
    """Depth of every resource in the graph of what waits for what; computed without recursion, graphs can be deep."""
    levels: dict[str, int] = {}
    for start in program.records:
        pending = [start.urn]
        while pending:
            urn = pending[-1]
            open_ends = [need for need in _needs(program, urn) if need not in levels]
            if open_ends:
                pending.extend(open_ends)
                continue
            levels[urn] = 1 + max((_weight(program, need, levels) for need in _needs(program, urn)), default=0)
            pending.pop()
    return levels


def _needs(program: Program, urn: str) -> list[str]:
    record = program.by_urn[urn]
    return [need for need in (*record.dependencies, record.parent) if need in program.by_urn]


def _weight(program: Program, urn: str, levels: dict[str, int]) -> int:
    """A component takes no step of its own: what waits for it waits for what it waited for."""
    return levels[urn] if program.by_urn[urn].custom else levels[urn] - 1
