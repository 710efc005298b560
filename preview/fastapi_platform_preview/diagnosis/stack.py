"""One stack, and the namespaces that it lives in.

Owns looking at all of them, once or again and again. Deliberately has the logs fetched last, and only those of what was
found.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, text

from .. import clusters
from ..errors import UsageError, refuse
from ..project import Project
from .advice import Advice
from .ask import Space
from .examine import Diagnosis, UnderWay, examine
from .finding import Finding, Log, Rank, grouped
from .log_lines import telling

LOGS = 4
"""Logs that are read; the first cause is the one that matters."""
LOGS_SECONDS = 20.0
"""So long may reading all of them take: a cause without its log is worth more than none."""
_NOT_SHOWN = (Marker.SECRET, Marker.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Subject:
    """A recorded stack, ready to be asked about."""

    program: Program
    advice: Advice
    spaces: tuple[Space, ...]

    @property
    def stack(self) -> str:
        """Its name."""
        return self.advice.stack

    def diagnosis(self) -> Diagnosis:
        """What is wrong now, without logs.

        Raises:
            UsageError: when the cluster does not answer.
        """
        parts = [examine(self._within(space), space.look(), self.advice, space.namespace) for space in self.spaces]
        return Diagnosis(
            serving=tuple(line for part in parts for line in part.serving),
            findings=grouped(finding for part in parts for finding in part.findings),
            under_way=tuple(each for part in parts for each in part.under_way),
            wanted=frozenset(urn for part in parts for urn in part.wanted),
            is_deployed=any(part.is_deployed for part in parts),
        )

    def complete(self, diagnosis: Diagnosis) -> Diagnosis:
        """The same with the lines of the logs that it names, and what is missing altogether told as one."""
        ends = time.monotonic() + LOGS_SECONDS
        told = [self._with_log(each, ends) for each in diagnosis.findings[:LOGS]]
        absent = [each for each in self.spaces if not diagnosis.is_deployed and not each.exists()]
        return replace(
            diagnosis,
            findings=tuple(map(_no_namespace, absent)) or (*told, *diagnosis.findings[LOGS:]),
            under_way=tuple(self._progress(each, ends) for each in diagnosis.under_way),
        )

    def _within(self, space: Space) -> Program:
        """The part of the program that is in a namespace; what does not say where it is may be anywhere."""
        if len(self.spaces) == 1:
            return self.program
        return Program([
            record for record in self.program.records
            if text(record.at("metadata", "namespace")) in ("", space.namespace)
        ])  # fmt: skip

    def _with_log(self, finding: Finding, ends: float) -> Finding:
        if finding.log is None:
            return finding
        lines = self._lines(finding.log, ends)
        return replace(finding, evidence=(*finding.evidence, *telling(lines, errors_only=finding.log.errors_only)))

    def _progress(self, under_way: UnderWay, ends: float) -> UnderWay:
        log = under_way.log
        lines = "" if log is None else self._lines(log, ends)
        last = telling(lines)[-1:]
        return UnderWay(f"{under_way.text}; last line: {last[0]}") if last else under_way

    def _lines(self, log: Log, ends: float) -> str:
        """The lines of a log in whichever namespace has it; none once the time is over."""
        asked = (space.lines(log, ends - time.monotonic()) for space in self.spaces)
        return next(filter(None, asked), "")


def of_records(project: Project, stack: str, program: Program) -> Subject:
    """What to ask, and where.

    Raises:
        UsageError: when nobody can tell where the stack is deployed, or it deploys no workload.
    """
    found = sorted(set(clusters.of_records(project, stack, program.records)), key=lambda each: each.context)
    if len(found) != 1:
        raise refuse(
            f"stack {stack}", "", got=f"{len(found)} clusters that can be asked", want="one",
            why="a kubeconfig that is made by the deploy, or stated as a whole, is not read, and of several nobody "
            "knows which runs what",
            fix="Name a context of your kubeconfig in the program's Kubernetes provider.",
        )  # fmt: skip
    spaces = tuple(Space(found[0], namespace) for namespace in _namespaces(stack, program))
    if not spaces:
        raise _nothing_to_ask(stack)
    return Subject(program, Advice(stack, project.stack_file(stack).name, frozenset(project.config)), spaces)


def _namespaces(stack: str, program: Program) -> Iterator[str]:
    stated = {text(workload.namespace) for workload in program.workloads} - {""}
    made = {text(record.at("metadata", "name")) for record in program.of_kind("Namespace")} - {""}
    if not stated | made and any(workload.namespace in _NOT_SHOWN for workload in program.workloads):
        raise _unnamed(stack)
    yield from sorted(stated or made or ({"default"} if program.workloads else set[str]()))


def _unnamed(stack: str) -> UsageError:
    return refuse(
        f"stack {stack}", "", got="a namespace that the deploy names", want="a stated name",
        why="nobody can tell where the pods are", fix="State metadata.name of the Namespace.",
    )


def _nothing_to_ask(stack: str) -> UsageError:
    return refuse(
        f"stack {stack}", "", got="no Deployment, Job or other workload", want="at least one",
        why="there is nothing that could fail to come up", fix="Is it the right stack?",
    )


def _no_namespace(space: Space) -> Finding:
    return Finding(
        rank=Rank.MIGRATION, subject=f"Namespace {space.namespace}", urn="", cause="the stack is not deployed",
        evidence=(f"the cluster has no namespace {space.namespace}",),
        fix=f"Deploy it: fastapi-platform up {space.cluster.stack}",
    )  # fmt: skip
