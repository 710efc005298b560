"""Everything a preview says about one stack, as plain data.

Owns what is said; `text_format.py` and `json_format.py` own how. Deliberately computed from records alone, so that a
recording, an engine's preview and a state are reported alike.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi_platform.planning.drain import DrainBudget
from fastapi_platform_policy import credentials
from fastapi_platform_policy.draining import Unreadable, drain_budget
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record, Value, mapping, markers, text
from fastapi_platform_policy.rule import Judgement, Verdict
from fastapi_platform_policy.selection import CONTROLLERS, Selection
from fastapi_platform_policy.workloads import full_name

from . import order
from .facts import Fact, facts
from .launcher import RecordedStack
from .order import Step
from .redaction import redacted


@dataclass(frozen=True, slots=True)
class Node:
    """A resource and what belongs to it."""

    name: str
    """Name of a Kubernetes object, logical name of anything else."""
    kind: str
    """Last part of the type token."""
    urn: str
    protect: bool
    """Whether the engine refuses to delete it."""
    facts: tuple[Fact, ...]
    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """How the pods of one workload stop."""

    workload: str
    server: str
    budget: DrainBudget
    promised: bool
    """Whether a longest request is declared; otherwise the server's graceful timeout stands for it."""


@dataclass(frozen=True, slots=True)
class Loose:
    """An input that is not known, or not shown."""

    resource: str
    path: str
    marker: Marker


@dataclass(frozen=True, slots=True)
class StackReport:
    """One stack."""

    project: str
    stack: str
    seconds: float
    """Wall time of the recording."""
    tree: tuple[Node, ...]
    steps: tuple[Step, ...]
    drains: tuple[Drain, ...]
    selections: tuple[Selection, ...]
    loose: tuple[Loose, ...]
    outputs: tuple[tuple[str, Value], ...]
    messages: tuple[tuple[str, str], ...]
    """Severity and text of what the program logged."""
    judgement: Judgement
    program: Program

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Number of resources by kind, most first."""
        kinds = Counter(_kind(record) for step in self.steps for record in step.records)
        return tuple(sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def resources(self) -> int:
        """Number of resources that a deploy would create, components and providers not counted."""
        return sum(len(step.records) for step in self.steps)

    def violations(self) -> int:
        """Number of violated rules, counted by resource."""
        return len(self.judgement.having(Verdict.VIOLATED))


def build(recorded: RecordedStack, program: Program, judgement: Judgement) -> StackReport:
    """Put together what is known about a stack.

    Args:
        recorded: The stack's recording.
        program: The same records, indexed.
        judgement: What the rules say about them, credentials in clear included; none of those is in the report.
    """
    program = credentials.without(program)
    return StackReport(
        project=recorded.project,
        stack=recorded.stack,
        seconds=recorded.seconds,
        tree=_tree(program),
        steps=order.steps(program),
        drains=tuple(_drains(program)),
        selections=tuple(selection for selection in program.selections if selection.role not in CONTROLLERS),
        loose=tuple(_loose(program)),
        outputs=tuple(sorted(mapping(credentials.hidden(recorded.outputs)).items())),
        messages=tuple((severity, redacted(said)) for severity, said in recorded.messages),
        judgement=judgement,
        program=program,
    )


def _tree(program: Program) -> tuple[Node, ...]:
    children: dict[str, list[Record]] = {}
    for record in program.records:
        parent = record.parent if record.parent in program.by_urn else ""
        children.setdefault(parent, []).append(record)
    positions = {record.urn: position for position, record in enumerate(order.deploy_order(program))}

    def node(record: Record) -> Node:
        below = tuple(node(child) for child in sorted(children.get(record.urn, ()), key=place))
        name = text(record.at("metadata", "name")) or record.name
        return Node(name, _kind(record), record.urn, record.protect, facts(program, record), below)

    def place(record: Record) -> tuple[int, str]:
        own = [positions[record.urn]] if record.urn in positions else []
        return max([*own, *(place(child)[0] for child in children.get(record.urn, ()))], default=-1), record.urn

    return tuple(node(record) for record in sorted(children.get("", ()), key=place))


def _kind(record: Record) -> str:
    if record.type.startswith("pulumi:providers:"):
        return f"{record.type.rpartition(':')[2]} provider"
    return record.type.rpartition(":")[2]


def _drains(program: Program) -> Iterator[Drain]:
    for workload in program.served:
        found = drain_budget(workload)
        if not isinstance(found, Unreadable):
            yield Drain(full_name(workload.record), found.server, found.budget, found.promised)


def _loose(program: Program) -> Iterator[Loose]:
    for record in program.records:
        for path, marker in markers(record.inputs):
            yield Loose(full_name(record), path, marker)
