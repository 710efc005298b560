"""When a deploy that is under way should be ended.

Owns the judgement. Deliberately ends only what waiting does not mend, on a workload that the engine is waiting for,
whose newest pods are those that the stack describes, and that happened after the deploy began: the pods of a broken
release must never stop the good one that replaces them.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from .examine import Diagnosis
from .finding import Finding

Key = tuple[str, str]


@dataclass(slots=True)
class Watch:
    """What was seen so far of one deploy."""

    before: frozenset[str] = frozenset()
    """Traces of what was wrong before the deploy began."""
    _since: dict[Key, float] = field(default_factory=dict[Key, float])

    def hopeless(self, diagnosis: Diagnosis, awaited: Collection[str], seconds: float) -> tuple[Finding, ...]:
        """The causes that are reason enough to end the deploy; none while waiting may help.

        Args:
            diagnosis: What is wrong now.
            awaited: URNs of the workloads that the engine is waiting for.
            seconds: A clock that only runs forward.
        """
        lasting = {
            (each.urn, each.cause): each
            for each in diagnosis.findings
            if each.patience_seconds is not None and each.traces - self.before
            if each.urn in awaited and each.urn in diagnosis.wanted
        }
        self._since = {key: self._since.get(key, seconds) for key in lasting}
        return tuple(
            each for key, each in lasting.items() if seconds - self._since[key] >= (each.patience_seconds or 0)
        )


def traces(diagnosis: Diagnosis) -> frozenset[str]:
    """What proves that the present findings were there."""
    return frozenset(trace for each in diagnosis.findings for trace in each.traces)
