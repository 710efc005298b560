"""All questions at once, about one stack.

Owns which are asked, and which findings another one already explains. Deliberately pure: the same objects, the same
answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastapi_platform_policy.program import Program

from . import serving
from .advice import Advice
from .causes import around, jobs, placing, refused, running, starting
from .causes.case import Case, cases
from .finding import Finding, Log, Rank, grouped
from .observed import Observed
from .release import Release, releases

_OF_A_CONTAINER: tuple[Callable[[Case], Finding | None], ...] = (
    starting.image, starting.container, starting.volume, running.memory, running.startup, running.crash,
    running.readiness, running.pod,
)  # fmt: skip
"""The first that answers is the cause: an image that is not there is why there is no process."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Something that has not ended, and is no fault yet."""

    text: str
    log: Log | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a stack is like."""

    serving: tuple[str, ...]
    findings: tuple[Finding, ...]
    """The worst first."""
    under_way: tuple[UnderWay, ...]
    wanted: frozenset[str]
    """URNs of workloads whose newest pods are those that the stack describes."""
    is_deployed: bool = True
    """Whether any workload of the stack is in the cluster, of whatever release."""


def examine(program: Program, seen: Observed, advice: Advice, namespace: str) -> Diagnosis:
    """Look at everything that a stack consists of."""
    found = releases(program, seen)
    findings = [finding for release in found for finding in _of_release(seen, advice, release)]
    faulty = {finding.urn for finding in findings}
    under_way = tuple(
        each for release in found if release.workload.urn not in faulty for each in _under_way(seen, advice, release)
    )
    served = {workload.urn for workload in program.served}
    if not any(finding.rank is not Rank.AROUND for finding in findings):
        findings += [around.none_ready(each) for each in found if each.workload.urn in served and _is_idle(each)]
        findings += [*around.autoscalers(program, seen), *around.budgets(program, seen)]
        if not under_way:
            findings += [around.missing(release, namespace, advice.stack) for release in found if _lacks(release)]
    return Diagnosis(
        serving=tuple(serving.sentence(release) for release in found if release.workload.urn in served
                      and release.workload.kind == "Deployment"),
        findings=grouped(findings),
        under_way=under_way,
        wanted=frozenset(release.workload.urn for release in found if release.is_wanted),
        is_deployed=any(release.live is not None for release in found),
    )  # fmt: skip


def _of_release(seen: Observed, advice: Advice, release: Release) -> Iterator[Finding]:
    done = [*jobs.failed(seen, advice, release)]
    yield from done
    if done:
        return
    found = [*_of_pods(seen, advice, release), *refused.pods(seen, advice, release)]
    found += placing.pods(seen, advice, release)
    yield from found or around.rollout(release)


def _of_pods(seen: Observed, advice: Advice, release: Release) -> Iterator[Finding]:
    for case in cases(seen, advice, release):
        answers = (question(case) for question in _OF_A_CONTAINER)
        found = next((answer for answer in answers if answer is not None), None)
        if found is not None:
            yield found


def _under_way(seen: Observed, advice: Advice, release: Release) -> Iterator[UnderWay]:
    text, log = jobs.running(seen, release)
    if text:
        yield UnderWay(f"{release.name}: {text}", log)
    elif not release.workload.runs_once:
        told = [(case.pod.name, state) for case in cases(seen, advice, release) if (state := running.starting(case))]
        pods = len({name for name, _ in told})
        if told:
            yield UnderWay(f"{release.name}: {pods} {'pod' if pods == 1 else 'pods'} {told[0][1]}")


def _is_idle(release: Release) -> bool:
    """Whether a Deployment that wants pods has none that is ready."""
    live = release.live
    if live is None or live.kind != "Deployment" or live.at("spec", "replicas") == 0:
        return False
    batches = (*release.older, *([release.newest] if release.newest else []))
    return not any(batch.ready for batch in batches)


def _lacks(release: Release) -> bool:
    """Whether something is not there that does not come and go."""
    return release.live is None and release.is_named and release.workload.kind not in ("Job", "Pod")
