"""The settings of one stack.

Owns reading them: the only reader of configuration. Deliberately reads through Pulumi, so that a preview without the
engine and the engine itself see the same, and reports every problem of a stack file at once.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import arguments
import pulumi
import repair
from document import Document, ExistingCluster, StackFile
from problems import no_number, paths, refusals, translate, truths
from pydantic import ValidationError

from fastapi_platform import (
    BackgroundWorkerArgs,
    FastApiServiceArgs,
    LocalPostgresArgs,
    MigrationJobArgs,
    PlatformError,
    RestrictedNamespaceArgs,
    ScheduledJobArgs,
)
from fastapi_platform.planning import drain
from fastapi_platform.planning.errors import Problem

HOMES = {"environment": "environment", "image": "service.image", "namespace": "namespace.name"}
"""Where a wired argument stands in the stack file, whichever component refuses it."""
REPAIRS = 10
"""Attempts to make a refused document readable, each of which takes something out of it; it is not deeper than that."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything a stack file says, checked: the arguments of every component."""

    cluster: ExistingCluster
    """Where the platform runs."""
    database: LocalPostgresArgs | None
    """The throwaway database; none when somebody else runs one."""
    migration: MigrationJobArgs | None
    """The gate of the release; none when the stack says to go without."""
    namespace: RestrictedNamespaceArgs
    schedules: Mapping[str, ScheduledJobArgs]
    """By name."""
    service: FastApiServiceArgs
    workers: Mapping[str, BackgroundWorkerArgs]
    """By name."""


def load() -> Settings:
    """The settings of the stack that is being deployed or previewed.

    Raises:
        PlatformError: with every problem of the stack file.
    """
    project = f"{pulumi.get_project()}:"
    texts: Mapping[str, str] = pulumi.runtime.get_config_env()
    own = {key.removeprefix(project): text for key, text in texts.items() if key.startswith(project)}
    secret = [key for key in own if pulumi.runtime.is_config_secret(f"{project}{key}")]
    if secret:
        raise PlatformError(_encrypted(key) for key in secret)
    return parse({key: decoded(text) for key, text in own.items()})


def parse(raw: Mapping[str, Any]) -> Settings:
    """Settings from the top-level keys of a stack file and their values.

    Raises:
        PlatformError: with every problem found: those of the shape, and those of the values that could still be read.
    """
    document, problems = _document(raw)
    found = _Findings(problems)
    settings = _settings(document, found)
    if settings is None or found.problems:
        raise PlatformError(found.problems)
    return settings


@dataclass(frozen=True, slots=True)
class _Findings:
    """Problems so far; a refused part does not keep the others from being looked at."""

    problems: list[Problem] = field(default_factory=list[Problem])

    def attempt(self, section: str, make: Callable[[], T]) -> T | None:
        """What `make` returns, or None with its problems noted under their place in the stack file."""
        try:
            return make()
        except PlatformError as error:
            moved = (_at_home(problem, section) for problem in error.problems)
            self.problems.extend(problem for problem in moved if not self._said(problem))
            return None

    def attempt_each(self, section: str, names: Iterable[str], make: Callable[[str], T]) -> dict[str, T]:
        """What `make` returns for each name that is not refused."""
        made = {name: self.attempt(f"{section}.{name}", partial(make, name)) for name in names}
        return {name: value for name, value in made.items() if value is not None}

    def _said(self, problem: Problem) -> bool:
        """Whether it is noted, or comes from a setting of the service that is refused already."""
        return problem in self.problems or replace(problem, owner="service") in self.problems


def _document(raw: Mapping[str, Any]) -> tuple[Document, list[Problem]]:
    """The document, repaired where it had to be, and what was wrong with its shape and with values on the way."""
    misread = truths(raw, StackFile)
    problems = [no_number(path) for path in misread]
    readable = repair.repaired(raw, misread)
    for attempt in range(REPAIRS):
        try:
            return StackFile.model_validate(readable), problems
        except ValidationError as error:
            # What is missing after a repair is missing because of it.
            found = refusals(error, readable) if attempt else translate(error, StackFile, readable)
            problems += [problem for problem in found if problem not in problems]
            readable = repair.repaired(readable, paths(error, readable))
    return StackFile.model_validate(repair.STAND_INS), problems


def _settings(document: Document, found: _Findings) -> Settings | None:
    balancer = found.attempt("edge", lambda: arguments.load_balancer(document))
    service = found.attempt("service", lambda: arguments.service(document, balancer or drain.IN_CLUSTER))
    gate = found.attempt("migrations", lambda: arguments.migration(document))
    namespace = found.attempt("namespace", lambda: arguments.namespace(document))
    database = found.attempt("database", lambda: arguments.database(document))
    workers = found.attempt_each("workers", document.workers, partial(arguments.worker, document))
    schedules = found.attempt_each("schedules", document.schedules, partial(arguments.schedule, document))
    if service is None or gate is None or namespace is None:
        return None
    return Settings(
        cluster=document.cluster,
        database=database,
        migration=None if document.migrations.given().get("mode") == "skip" else gate,
        namespace=namespace,
        schedules=schedules,
        service=service,
        workers=workers,
    )


def _at_home(problem: Problem, section: str) -> Problem:
    """The problem under the key of the stack file that causes it."""
    if problem.field in ("job", "worker"):
        return replace(problem, owner="", field=section)
    if "load_balancer." in str(problem):
        return _at_edge(problem, section)
    wired = HOMES.get(problem.field)
    own = section == "database" and problem.field == "image"
    return problem.under(section) if wired is None or own else replace(problem, owner="", field=wired)


def _at_edge(problem: Problem, section: str) -> Problem:
    """The problem in the words of a stack file, where the load balancer is the section `edge`."""
    here = problem.under("edge" if problem.field.startswith("load_balancer.") else section)
    return replace(
        here,
        field=here.field.removeprefix("load_balancer."),
        want=here.want.replace("load_balancer.", "edge."),
        why=here.why.replace("load_balancer.", "edge."),
        fix=here.fix.replace("load_balancer.", "edge."),
    )


def _encrypted(key: str) -> Problem:
    return Problem(
        "", key, "an encrypted value", "a plain value that names a Secret",
        "what a component receives ends up in pod specs, where anybody who may read the namespace reads it",
        "Put the value into a Kubernetes Secret and name its key under service.secrets.",
    )


def decoded(text: str) -> Any:
    """A configuration value as the stack file has it; Pulumi hands over objects and lists as JSON, the rest as text.

    A text that only begins like JSON is a text, and is refused where one is not wanted, together with all else.
    """
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except ValueError:
        return text
