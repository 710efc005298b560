"""The schema is ready before anything that needs it starts, and a failed migration can be repeated.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

import re
from collections.abc import Iterator

from fastapi_platform.planning import images

from ..databases import addresses, pooler_hosts
from ..program import Program
from ..record import Marker, Record, at, differs, items, text, unknown_paths
from ..rule import Answer, Rule, Severity, Thresholds, unknown, verdict_of
from ..workloads import Workload, full_name

MIGRATES = re.compile(r"\balembic\b|\bmigrate\b|\bmigrations?\b", re.IGNORECASE)
SKIP_AWAIT = "pulumi.com/skipAwait"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
DEFAULT_WAIT_SECONDS = 600
"""How long Pulumi waits for a Job that states no timeout."""
URL = "https://kubernetes.io/docs/concepts/workloads/controllers/job/"


def migrations(program: Program) -> tuple[Workload, ...]:
    """Jobs that migrate a schema, by their component label or their command."""
    return tuple(workload for workload in program.workloads if workload.kind == "Job" and _migrates(workload))


def _migrates(workload: Workload) -> bool:
    if at(workload.labels, "app.kubernetes.io/component") == "migration":
        return True
    words = (
        word for container in workload.containers() for key in ("command", "args") for word in items(container.at(key))
    )
    return any(isinstance(word, str) and MIGRATES.search(word) for word in words)


def _gate(program: Program, _: Thresholds) -> Iterator[Answer]:
    jobs = migrations(program)
    for workload in program.workloads:
        if workload.kind in ("Job", "Pod"):
            continue
        own = [job for job in jobs if _repositories(job) & _repositories(workload)]
        if own:
            yield _gated(program, workload, own)
        elif addresses(workload):
            yield unknown(workload.urn, "it uses a database, and no migration Job of this program runs its image")


def _gated(program: Program, workload: Workload, jobs: list[Workload]) -> Answer:
    before, wrong = program.waits_for(workload.record), list[str]()
    for job in jobs:
        if job.urn not in before:
            wrong.append(f"it does not wait for {full_name(job.record)}")
        if not _images(job) & _images(workload):
            wrong.append(f"{full_name(job.record)} runs another image, so it migrates for another release")
    return verdict_of(workload.urn, wrong)


def _images(workload: Workload) -> set[str]:
    return {text(container.at("image")) for container in workload.containers()} - {""}


def _repositories(workload: Workload) -> set[str]:
    parsed = (images.parse(image) for image in _images(workload))
    return {image.repository for image in parsed if image is not None}


def _recoverable(program: Program, _: Thresholds) -> Iterator[Answer]:
    for job in migrations(program):
        yield verdict_of(job.urn, [*_job_problems(job.record), *_option_problems(job.record)], _unsaid(job.record))


def _job_problems(job: Record) -> Iterator[str]:
    if job.at("spec", "activeDeadlineSeconds") is Marker.ABSENT:
        yield "it has no activeDeadlineSeconds and may hang for ever"
    if job.at("spec", "ttlSecondsAfterFinished") is not Marker.ABSENT:
        yield "ttlSecondsAfterFinished removes it, and a refresh then runs it again"
    if job.at("spec", "podFailurePolicy") is not Marker.ABSENT:
        yield "podFailurePolicy ends it in a way that Pulumi waits out to the full timeout"
    if job.at("metadata", "annotations", SKIP_AWAIT) == "true":
        yield f"{SKIP_AWAIT} takes the gate away"
    if differs(job.at("spec", "template", "spec", "restartPolicy"), "Never"):
        yield "restartPolicy is not Never, so a failure is repeated in place and its log is lost"


def _option_problems(job: Record) -> Iterator[str]:
    replaced = job.options.replace_on_changes
    marked = not differs(job.at("metadata", "annotations", REPLACE_UNREADY), "true")
    if not marked or (replaced is not None and "*" not in replaced):
        yield f"without {REPLACE_UNREADY} and replaceOnChanges ['*'] a failed Job blocks every later deploy"
    if job.options.delete_before_replace is False:
        yield "without deleteBeforeReplace its replacement finds the old name taken"
    deadline = job.at("spec", "activeDeadlineSeconds")
    wait = job.options.create_timeout_seconds
    wait = DEFAULT_WAIT_SECONDS if wait is None else wait
    if isinstance(deadline, int) and wait <= deadline:
        yield f"Pulumi stops waiting after {wait:.0f} s, before the Job's own deadline of {deadline} s"


def _unsaid(job: Record) -> list[str]:
    unsure = [f"{path} is known only after the deployment" for path in unknown_paths(job.at("metadata", "annotations"))]
    if None in (job.options.delete_before_replace, job.options.replace_on_changes):
        unsure.append("how a failed Job is replaced is an option that is not passed on here; judge the program itself")
    return unsure


def _direct(program: Program, _: Thresholds) -> Iterator[Answer]:
    hosts = pooler_hosts(program)
    for job in migrations(program):
        found = addresses(job)
        if not found:
            yield unknown(job.urn, "no variable of the Job says where its database is")
            continue
        wrong = [
            f"{address.variable} comes from {address.secret or 'a value'}, which leads to a pooler"
            for address in found
            if address.pooled(hosts)
        ]
        unsure = [f"{address.variable} is not known yet" for address in found if address.value is Marker.UNKNOWN]
        yield verdict_of(job.urn, wrong, unsure)


RULES = (
    Rule(
        name="migration-before-rollout",
        check=_gate,
        controls=("migration-before-rollout", "alembic-only-schema"),
        fix="Pass the migration Job (or its component) in depends_on of everything that runs the same image.",
        severity=Severity.CRITICAL,
        url=URL,
        why="The new release meets the old schema, or several pods migrate at once.",
    ),
    Rule(
        name="migration-recoverable",
        check=_recoverable,
        controls=("migration-before-rollout",),
        fix="Give the Job a deadline below Pulumi's timeout, no TTL, restartPolicy Never; have a failed one replaced.",
        severity=Severity.HIGH,
        url=URL,
        why="One failed migration blocks every later deploy until somebody deletes the Job by hand.",
    ),
    Rule(
        name="migration-address-direct",
        check=_direct,
        controls=("migration-before-rollout",),
        fix="Give the migration the database's own address; only the service goes through the pooler.",
        severity=Severity.HIGH,
        url="https://www.pgbouncer.org/features.html",
        why="A transaction pooler breaks the session lock that keeps two migrations apart.",
    ),
)
