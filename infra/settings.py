"""The settings of one stack.

Owns reading them: the only reader of configuration. Deliberately reads through Pulumi, so that a preview without the
engine and the engine itself see the same, and reports every problem of a stack file at once.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pulumi
import repair
from document import (
    Document,
    ExistingCluster,
    ExternalDatabase,
    ExternalEdge,
    InClusterDatabase,
    Section,
    StackFile,
)
from problems import paths, translate
from pydantic import ValidationError

from fastapi_platform import (
    BackgroundWorkerArgs,
    FastApiServiceArgs,
    Flow,
    LoadBalancer,
    LocalPostgresArgs,
    MigrationJobArgs,
    Peer,
    PlatformError,
    RestrictedNamespaceArgs,
    ScheduledJobArgs,
    SecretKey,
)
from fastapi_platform.kubernetes import postgres
from fastapi_platform.kubernetes.migration import DATABASE_VARIABLE
from fastapi_platform.planning import drain
from fastapi_platform.planning.errors import Problem

HOMES = {"environment": "environment", "image": "service.image", "namespace": "namespace.name", "service": "name"}
"""Where a wired argument stands in the stack file, whichever component refuses it."""

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
        """Whether it is noted, or comes from a setting of the service, or from the name, that is refused already."""
        of_service = replace(problem, owner="service")
        from_name = problem.field == "namespace.name" and any(said.field == "name" for said in self.problems)
        return from_name or problem in self.problems or of_service in self.problems


def _document(raw: Mapping[str, Any]) -> tuple[Document, list[Problem]]:
    """The document, repaired where it had to be, and what was wrong with its shape."""
    try:
        return StackFile.model_validate(raw), []
    except ValidationError as error:
        problems = list(translate(error, StackFile, raw))
        readable = repair.without(raw, paths(error, raw))
    try:
        return StackFile.model_validate(readable), problems
    except ValidationError as error:
        return StackFile.model_validate(repair.completed(readable, paths(error, readable))), problems


def _settings(document: Document, found: _Findings) -> Settings | None:
    service = found.attempt("service", lambda: _service(document))
    gate = found.attempt("migrations", lambda: _migration(document))
    namespace = found.attempt("namespace", lambda: _namespace(document))
    database = found.attempt("database", lambda: _database(document))
    workers = found.attempt_each("workers", document.workers, partial(_worker, document))
    schedules = found.attempt_each("schedules", document.schedules, partial(_schedule, document))
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


def _service(document: Document) -> FastApiServiceArgs:
    balancer = LoadBalancer(**document.edge.given()) if isinstance(document.edge, ExternalEdge) else drain.IN_CLUSTER
    return FastApiServiceArgs(**_common(document), **_runs(document, document.service), load_balancer=balancer)


def _worker(document: Document, name: str) -> BackgroundWorkerArgs:
    given = _runs(document, document.workers[name])
    return BackgroundWorkerArgs(**_common(document), **given, image=_image(document), worker=name)


def _schedule(document: Document, name: str) -> ScheduledJobArgs:
    given = _runs(document, document.schedules[name])
    return ScheduledJobArgs(**_common(document), **given, image=_image(document), job=name)


def _migration(document: Document) -> MigrationJobArgs:
    given = _placed(document, document.migrations)
    given.pop("mode", None)
    database = _connection(document)
    given["egress"] = (*given.get("egress", ()), database.direct_flow)
    return MigrationJobArgs(
        **_common(document), **given, image=_image(document), direct_database=database.direct_secret
    )


def _database(document: Document) -> LocalPostgresArgs | None:
    if not isinstance(document.database, InClusterDatabase):
        return None
    return LocalPostgresArgs(**_common(document), **document.database.given())


def _namespace(document: Document) -> RestrictedNamespaceArgs:
    given = document.namespace.given()
    given.pop("name", None)
    return RestrictedNamespaceArgs(
        **given,
        deletion_protection=document.deletion_protection,
        environment=document.environment,
        namespace=_namespace_name(document),
    )


def _common(document: Document) -> dict[str, Any]:
    """Arguments that every component of a service gets."""
    return {
        "environment": document.environment,
        "namespace": _namespace_name(document),
        "service": document.name,
    }


def _runs(document: Document, section: Section) -> dict[str, Any]:
    """What a section states, with what everything that runs the service's code shares: settings, secrets, flows."""
    shared, given = document.service.given(), _placed(document, section)
    database = _connection(document)
    flows = [*shared.get("egress", ()), database.flow]
    return given | {
        "egress": (*flows, *(flow for flow in given.get("egress", ()) if flow not in flows)),
        "env": {**shared.get("env", {}), **given.get("env", {})},
        "secrets": {DATABASE_VARIABLE: database.secret, **shared.get("secrets", {}), **given.get("secrets", {})},
    }


def _placed(document: Document, section: Section) -> dict[str, Any]:
    """What a section states; its pods run where the service's do, unless it says otherwise."""
    service = document.service.given()
    return {name: service[name] for name in ("placement",) if name in service} | section.given()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Connection:
    """The two ways to the database: the service's, perhaps through a pooler, and the migration's."""

    direct_flow: Flow
    direct_secret: SecretKey
    flow: Flow
    secret: SecretKey


def _connection(document: Document) -> _Connection:
    """The only place that asks what kind of database there is."""
    match document.database:
        case ExternalDatabase() as given:
            return _Connection(
                direct_flow=_outside(given.direct_network or given.network, given.direct_port or given.port),
                direct_secret=given.direct_secret,
                flow=_outside(given.network, given.port),
                secret=given.secret,
            )
        case InClusterDatabase():
            flow = Flow(peer=Peer(pod_labels=postgres.selector(document.name)), ports=(postgres.PORT,))
            secret = SecretKey(postgres.secret_name(document.name), postgres.DIRECT_KEY)
            return _Connection(direct_flow=flow, direct_secret=secret, flow=flow, secret=secret)


def _outside(network: str, port: int) -> Flow:
    return Flow(peer=Peer(cidr=network), ports=(port,))


def _image(document: Document) -> str:
    return document.service.given()["image"]


def _namespace_name(document: Document) -> str:
    name: str | None = document.namespace.given().get("name")
    return document.name if name is None else name


def _at_home(problem: Problem, section: str) -> Problem:
    """The problem under the key of the stack file that causes it."""
    if problem.field in ("job", "worker"):
        return replace(problem, owner="", field=section)
    if problem.field.startswith("load_balancer."):
        return replace(problem, owner="edge", field=problem.field.removeprefix("load_balancer."))
    home = HOMES.get(problem.field)
    return replace(problem, owner="", field=home) if home else problem.under(section)


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
