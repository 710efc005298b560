"""The shape of a stack file: which keys there are, and what type each has.

Owns the document model. Deliberately states no default and no rule about a value that a component has: such a section
is made of the component's own arguments, minus those that the program wires, and the component checks them.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from dataclasses import Field as DataclassField
from functools import partial
from typing import Annotated, Any, Literal, Self

import tree
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from fastapi_platform import (
    BackgroundWorkerArgs,
    Environment,
    FastApiServiceArgs,
    LoadBalancer,
    LocalPostgresArgs,
    MigrationJobArgs,
    RestrictedNamespaceArgs,
    ScheduledJobArgs,
    SecretKey,
)
from fastapi_platform.planning import flows, names
from fastapi_platform.planning.errors import expect, verify

SHARED = frozenset({"environment", "namespace", "service"})
"""Arguments that every component gets from the top of the stack file."""
RELEASE = SHARED | {"image"}
"""Of those that run the service's image."""
WIRED: dict[type[Any], frozenset[str]] = {
    LoadBalancer: frozenset(),
    FastApiServiceArgs: SHARED | {"load_balancer"},
    MigrationJobArgs: RELEASE | {"direct_database"},
    BackgroundWorkerArgs: RELEASE | {"worker"},
    ScheduledJobArgs: RELEASE | {"job"},
    LocalPostgresArgs: SHARED,
    RestrictedNamespaceArgs: SHARED | {"deletion_protection"},
}
"""Arguments of each component that its own section cannot state."""


class Section(BaseModel):
    """Base of all sections: read once, never changed, nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """What the stack file states, by argument name; the rest is the component's default."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "kind"}


class ExistingCluster(Section):
    """A cluster that somebody else runs, reached through a kubeconfig."""

    kind: Literal["existing"]
    context: Annotated[str, Field(min_length=1)]
    """Context of the kubeconfig; always named, so that a deploy never goes to whatever was selected last."""
    kubeconfig: str | None = None
    """Path of the kubeconfig; none means where kubectl looks."""


class NoEdge(Section):
    """Nothing in front of the service: callers are pods of the same cluster."""

    kind: Literal["none"]


def _is_place(network: str) -> bool:
    return flows.is_network(network) and flows.is_bounded_network(network)


class ExternalDatabase(Section):
    """A Postgres that somebody else runs; its addresses are in a Secret of the namespace."""

    kind: Literal["external"]
    direct_secret: SecretKey
    """Key with the DSN that reaches Postgres without a pooler; the migration uses it."""
    network: str
    """Network that the service's DSN leads to, in CIDR notation; no other can be reached."""
    secret: SecretKey
    """Key with the DSN for the service, through a pooler when there is one."""
    direct_network: str | None = None
    """Network that the direct DSN leads to; none means `network`."""
    direct_port: int | None = None
    """Port in the direct DSN; none means `port`."""
    port: int = 5432
    """Port in the service's DSN: the database's, or the pooler's."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        networks = {"network": self.network, "direct_network": self.direct_network}
        ports = {"port": self.port, "direct_port": self.direct_port}
        verify(
            self,
            *(expect(name, network is None or _is_place(network), want="a network such as 10.20.0.0/28",
                     why="nothing else can be reached, and not everything") for name, network in networks.items()),
            *(expect(name, port is None or 1 <= port <= 65535, want="1 to 65535", why="there are no other ports")
              for name, port in ports.items()),
        )
        return self


def _checked_name(name: str) -> str:
    """The name, checked before anything is named after it."""
    verify(None, names.service_expectation("", name))
    return name


class Document(Section):
    """A whole stack file. The sections that components own are narrowed in `StackFile`."""

    cluster: ExistingCluster
    """Where the platform runs."""
    database: Section
    """Where the data is."""
    deletion_protection: bool
    """Whether Pulumi refuses to delete what holds data."""
    edge: Section
    """What stands in front of the service."""
    environment: Environment
    """What the stack promises: local, development or production; decides how strictly the rest is checked."""
    name: Annotated[str, AfterValidator(_checked_name)]
    """Name of the service: part of every address, label and object; a DNS label of at most 30 characters."""
    service: Section
    """The service itself."""
    migrations: Section
    """The migration gate."""
    namespace: Section
    """Namespace of everything, by default named after the service."""
    schedules: Mapping[str, Section]
    """Scheduled jobs, by name."""
    workers: Mapping[str, Section]
    """Background workers, by name."""


def _section(title: str, args: type[Any], **extra: Any) -> type[Section]:
    """A section with the arguments of a component, minus the wired ones."""
    own: dict[str, Any] = {
        field.name: (_type(field), _default(field)) for field in fields(args) if field.name not in WIRED[args]
    }
    return create_model(title, __base__=Section, __doc__=args.__doc__, **own, **extra)


def _type(field: DataclassField[Any]) -> Any:
    """The type of an argument; of a group with a default, one that may be stated in part."""
    if not is_dataclass(field.default) or isinstance(field.default, type):
        return field.type
    return Annotated[field.type, BeforeValidator(partial(_over, asdict(field.default)))]


def _over(default: dict[str, Any], given: object) -> object:
    """What is stated over what is not."""
    stated = tree.mapping(given)
    if stated is None:
        return given
    groups = {key: inner for key, value in default.items() if (inner := tree.mapping(value)) is not None}
    return default | stated | {key: _over(inner, stated[key]) for key, inner in groups.items() if key in stated}


def _default(field: DataclassField[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return Field(default_factory=field.default_factory) if field.default_factory is not MISSING else ...


ExternalEdge = _section("ExternalEdge", LoadBalancer, kind=(Literal["external"], ...))
InClusterDatabase = _section("InClusterDatabase", LocalPostgresArgs, kind=(Literal["in_cluster"], ...))

_NOTHING = Field(default_factory=dict[str, Any], validate_default=True)
_MODE = Field(
    default="run",
    description="run, or skip: the schema stays as it is, to go back to a release that is older than it.",
)
_NAMESPACE_NAME = Field(default=None, description="A DNS label; none means the service's name.")
_NARROWED: dict[str, Any] = {
    "database": (Annotated[InClusterDatabase | ExternalDatabase, Field(discriminator="kind")], ...),
    "edge": (Annotated[NoEdge | ExternalEdge, Field(discriminator="kind")], ...),
    "migrations": (_section("Migrations", MigrationJobArgs, mode=(Literal["run", "skip"], _MODE)), _NOTHING),
    "namespace": (_section("Namespace", RestrictedNamespaceArgs, name=(str | None, _NAMESPACE_NAME)), _NOTHING),
    "schedules": (dict[str, _section("Schedule", ScheduledJobArgs)], _NOTHING),
    "service": (_section("Service", FastApiServiceArgs), ...),
    "workers": (dict[str, _section("Worker", BackgroundWorkerArgs)], _NOTHING),
}
StackFile: type[Document] = create_model("StackFile", __base__=Document, __doc__=Document.__doc__, **_NARROWED)
"""The document with the sections of the components in place."""
