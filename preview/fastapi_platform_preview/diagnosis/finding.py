"""One cause of trouble, in words, with what proves it.

Owns the shape, and grouping. Deliberately carries text as the cluster wrote it: what prints it hides credentials.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

MENDS_ITSELF = None
"""Patience with what may yet end well: a node that is being added, a dependency that is coming back."""


class Rank(IntEnum):
    """What is told first: what stops everything behind it, then pods that do not run, then the rest."""

    MIGRATION = 0
    NOT_RUNNING = 1
    NOT_READY = 2
    REFUSED = 3
    AROUND = 4


@dataclass(frozen=True, slots=True)
class Log:
    """The lines of a container that say more."""

    pod: str
    container: str
    previous: bool = False
    """Whether those of the process before the present one."""
    errors_only: bool = False
    """Whether a line that is no error says nothing: a process that runs logs its requests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One cause."""

    rank: Rank
    subject: str
    """The workload."""
    urn: str
    """The workload's URN."""
    cause: str
    """What is wrong, in plain words; the same words are the same cause."""
    evidence: tuple[str, ...]
    """What the cluster says about it."""
    fix: str
    """What to do next."""
    objects: tuple[str, ...] = ()
    """Names of the pods and the like that it was seen on."""
    traces: frozenset[str] = frozenset()
    """What changes whenever it happens once more: an old trace proves nothing about a deploy that began after it."""
    log: Log | None = None
    patience_seconds: float | None = MENDS_ITSELF
    """How long it must last until waiting is in vain; none when waiting may mend it."""


def grouped(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each cause once with everything that it was seen on, the worst first."""
    found: dict[tuple[str, str], Finding] = {}
    for each in findings:
        key = each.urn, each.cause
        known = found.get(key)
        found[key] = each if known is None else replace(
            known,
            objects=tuple(dict.fromkeys((*known.objects, *each.objects))),
            traces=known.traces | each.traces,
        )  # fmt: skip
    return tuple(sorted(found.values(), key=lambda each: each.rank))
