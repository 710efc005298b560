"""The shape of a rule, and judging a program with rules.

Owns the three answers: compliant, violated, cannot know yet. Deliberately lets no rule read anything but the program's
records and the thresholds: the same judge serves a recording, a preview and a state.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fastapi_platform.planning.environment import Environment

from .program import Program


class Verdict(StrEnum):
    """What a rule says about one resource."""

    COMPLIANT = "compliant"
    VIOLATED = "violated"
    UNKNOWN = "cannot-know-yet"
    """What the rule needs is decided only by the deployment, or outside the program; never a pass."""


class Severity(StrEnum):
    """What a violation can lead to."""

    CRITICAL = "critical"
    """Lost data or a leaked credential."""
    HIGH = "high"
    """Failed requests, or a way in."""
    MEDIUM = "medium"
    """A harder night for whoever is on call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One rule's answer about one resource."""

    urn: str
    verdict: Verdict
    message: str = ""
    """What is wrong or not known, naming the field to change; empty when compliant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What a team may tighten or relax; the defaults are the safe ones."""

    assumed_environment: Environment = Environment.PRODUCTION
    """How a workload without the environment label is judged."""
    min_replicas: int = 2
    """Fewest pods of whatever a Service sends requests to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A demand on a program, with the reason and the remedy."""

    name: str
    """What holds when the rule does, in kebab-case."""
    check: Callable[[Program, Thresholds], Iterable[Answer]]
    """Answers about every resource the rule applies to; nothing about the others."""
    controls: tuple[str, ...]
    """Production controls that the rule proves, at least in part."""
    fix: str
    """The change that satisfies it, for users of the components and of raw resources."""
    severity: Severity
    url: str
    """Where the demand comes from."""
    why: str
    """What happens otherwise, in a sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer together with the rule that gave it."""

    rule: Rule
    answer: Answer


@dataclass(frozen=True, slots=True)
class Judgement:
    """All answers of all rules about a program."""

    findings: tuple[Finding, ...] = field(default=())

    def having(self, verdict: Verdict) -> tuple[Finding, ...]:
        """Findings of one verdict, the gravest first."""
        found = (finding for finding in self.findings if finding.answer.verdict is verdict)
        return tuple(sorted(found, key=_gravest_first))


def judge(program: Program, rules: Sequence[Rule], thresholds: Thresholds) -> Judgement:
    """Ask every rule about a program."""
    return Judgement(
        tuple(Finding(rule, answer) for rule in rules for answer in rule.check(program, thresholds))
    )


def compliant(urn: str) -> Answer:
    """The resource does what the rule demands."""
    return Answer(urn, Verdict.COMPLIANT)


def violated(urn: str, message: str) -> Answer:
    """The resource does not; the message names the field and what it should be."""
    return Answer(urn, Verdict.VIOLATED, message)


def unknown(urn: str, message: str) -> Answer:
    """Nobody can tell yet; the message says what is missing."""
    return Answer(urn, Verdict.UNKNOWN, message)


def verdict_of(urn: str, wrong: Sequence[str], unsure: Sequence[str] = ()) -> Answer:
    """One answer from everything a rule found about a resource: wrong beats unsure, unsure beats compliant."""
    if wrong:
        return violated(urn, "; ".join(wrong))
    return unknown(urn, "; ".join(unsure)) if unsure else compliant(urn)


def _gravest_first(finding: Finding) -> tuple[int, str, str]:
    return list(Severity).index(finding.rule.severity), finding.rule.name, finding.answer.urn
