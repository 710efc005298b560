"""The arguments of every component, as a document states them.

Owns what one section takes from another: the release, the name, the database, the placement. Deliberately checks
nothing: the shape is `document.py`'s, the values are the components'.
"""

from dataclasses import dataclass
from typing import Any

from document import Document, ExternalDatabase, ExternalEdge, InClusterDatabase, Section

from fastapi_platform import (
    BackgroundWorkerArgs,
    FastApiServiceArgs,
    Flow,
    LoadBalancer,
    LocalPostgresArgs,
    MigrationJobArgs,
    Peer,
    RestrictedNamespaceArgs,
    ScheduledJobArgs,
    SecretKey,
)
from fastapi_platform.kubernetes import postgres
from fastapi_platform.kubernetes.migration import DATABASE_VARIABLE
from fastapi_platform.planning import drain


def load_balancer(document: Document) -> LoadBalancer:
    """What stands in front of the service."""
    return LoadBalancer(**document.edge.given()) if isinstance(document.edge, ExternalEdge) else drain.IN_CLUSTER


def service(document: Document, balancer: LoadBalancer) -> FastApiServiceArgs:
    """The service itself."""
    return FastApiServiceArgs(**_common(document), **_runs(document, document.service), load_balancer=balancer)


def worker(document: Document, name: str) -> BackgroundWorkerArgs:
    """A background worker."""
    given = _runs(document, document.workers[name])
    return BackgroundWorkerArgs(**_common(document), **given, image=_image(document), worker=name)


def schedule(document: Document, name: str) -> ScheduledJobArgs:
    """A scheduled job."""
    given = _runs(document, document.schedules[name])
    return ScheduledJobArgs(**_common(document), **given, image=_image(document), job=name)


def migration(document: Document) -> MigrationJobArgs:
    """The migration gate of the release."""
    given = _placed(document, document.migrations)
    given.pop("mode", None)
    connection = _connection(document)
    given["egress"] = (*given.get("egress", ()), connection.direct_flow)
    return MigrationJobArgs(
        **_common(document), **given, image=_image(document), direct_database=connection.direct_secret
    )


def database(document: Document) -> LocalPostgresArgs | None:
    """The throwaway database; none when somebody else runs one."""
    if not isinstance(document.database, InClusterDatabase):
        return None
    return LocalPostgresArgs(**_common(document), **document.database.given())


def namespace(document: Document) -> RestrictedNamespaceArgs:
    """The namespace of everything."""
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
    connection = _connection(document)
    flows = [*shared.get("egress", ()), connection.flow]
    return given | {
        "egress": (*flows, *(flow for flow in given.get("egress", ()) if flow not in flows)),
        "env": {**shared.get("env", {}), **given.get("env", {})},
        "secrets": {DATABASE_VARIABLE: connection.secret, **shared.get("secrets", {}), **given.get("secrets", {})},
    }


def _placed(document: Document, section: Section) -> dict[str, Any]:
    """What a section states; its pods run where the service's do, unless it says otherwise."""
    service, own = document.service.given(), section.given()
    return {"placement": service["placement"], **own} if "placement" in service else own


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
