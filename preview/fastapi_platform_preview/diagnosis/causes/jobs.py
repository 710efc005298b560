"""Jobs that failed, a migration above all, and how far one is that runs.

Owns the end of a Job. Deliberately leaves containers that do not start, and pods that no node takes, to the questions
that every workload is asked.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup
"""

from collections.abc import Iterator

from fastapi_platform_policy.record import Value, at, items, text

from ..advice import Advice
from ..finding import Finding, Log, Rank
from ..log_lines import telling, whole
from ..observed import Event, Live, Observed, moment, number
from ..release import Release

_ENDED = ("Failed", "FailureTarget")
"""The second stands from the moment that decides it, while the pods are still being ended."""


def failed(seen: Observed, advice: Advice, release: Release) -> Iterator[Finding]:
    """A Job that will not be tried again."""
    job = _job(release)
    ended = [] if job is None else [each for each in _ENDED if job.is_true(each)]
    if job is None or not ended:
        return
    condition = job.condition(ended[0])
    late = text(at(condition, "reason")) == "DeadlineExceeded"
    pod = release.pods[-1] if release.pods else None
    container, end = _end(pod)
    what = "migration" if advice.key(release, "command").startswith("migrations") else "Job"
    seconds = job.number("spec", "activeDeadlineSeconds")
    if late:
        cause = f"the {what} did not end within its deadline of {seconds} s"
        fix = (
            "What does it wait for, a lock? Take what is long out of it, or give it longer "
            f"({advice.change(release, 'deadline_seconds', 'deadline')}); then run up again."
        )
    else:
        cause = f"the {what} failed" + (f" with exit code {number(at(end, 'exitCode'))}" if end is not None else "")
        fix = "Nothing behind it was touched. Correct what it says and run up again: the failed Job is replaced."
    last_words = whole(text(at(end, "message")))
    said = last_words or ("" if late else text(at(condition, "message")))
    around = [f"{each.reason}: {each.message}" for each in _last_words(seen, job)] if late and not said else []
    yield Finding(
        rank=Rank.AROUND if job.owner else Rank.MIGRATION, subject=release.name, urn=release.workload.urn, cause=cause,
        evidence=tuple(line for line in (_command(job), *telling(said), *around) if line), fix=fix,
        objects=(job.name,), traces=frozenset({job.uid}),
        log=Log(pod.name, container) if pod is not None and not last_words else None,
        patience_seconds=None if job.owner else 0,
    )  # fmt: skip


def running(seen: Observed, release: Release) -> tuple[str, Log | None]:
    """How far a Job is that has not ended, and the lines that say more; empty for any other."""
    job = _job(release)
    if job is None or not job.number("status", "active"):
        return "", None
    seconds = job.number("spec", "activeDeadlineSeconds")
    age = seen.age_seconds(moment(job.at("status", "startTime")))
    deadline = f", ends at the latest after {seconds} s" if seconds else ""
    pod = next((each for each in release.pods if text(each.at("status", "phase")) == "Running"), None)
    container, _ = _end(pod)
    return f"running for {age:.0f} s{deadline}", None if pod is None else Log(pod.name, container)


def _job(release: Release) -> Live | None:
    maker = release.newest.maker if release.newest else None
    return maker if maker is not None and maker.kind == "Job" else None


def _end(pod: Live | None) -> tuple[str, Value]:
    """The container of a pod that failed, or its first one, and how it ended."""
    statuses = items(None if pod is None else pod.at("status", "containerStatuses"))
    ends = [(text(at(each, "name")), at(each, "state", "terminated")) for each in statuses]
    bad = [(name, end) for name, end in ends if number(at(end, "exitCode"))]
    return next(iter(bad), (ends[0][0] if ends else "", None))


def _command(job: Live) -> str:
    words = [text(each) for each in items(job.at("spec", "template", "spec", "containers", 0, "command"))]
    return f"command: {' '.join(words)}" if words else ""


def _last_words(seen: Observed, job: Live) -> Iterator[Event]:
    """Why its pods did not get far: they are gone once the deadline has passed."""
    warned = [each for each in seen.events if each.warns and each.about.startswith(f"{job.name}-")]
    yield from warned[-2:]
