"""One Postgres in the cluster, for a laptop or a test: real, and thrown away with the stack.

Owns the server, its volume, its generated password and its address. Deliberately has no backup, no second replica and
no upgrade path, and so refuses every stack that is not local: production data belongs in a managed database. The
password is set when the volume is first filled; another one needs another volume.

Resources: `random` RandomPassword; `v1` Secret, Service, ServiceAccount, ConfigMap; `apps/v1` StatefulSet;
`networking.k8s.io/v1` NetworkPolicy.
Source: https://hub.docker.com/_/postgres
"""

from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pulumi_kubernetes import apps, core, meta

from ..planning import images, labels, names, quantities
from ..planning.environment import Environment
from ..planning.errors import expect, verify
from ..planning.flows import SAME_NAMESPACE
from ..planning.resources import Resources
from . import foundation, pod
from .foundation import PACKAGE, Workload
from .network_policy import Opening, Reach

PORT = 5432
DIRECT_KEY = "direct"
"""Key of the Secret with the DSN that reaches the server without a pooler."""
START_TIMEOUT = "300s"
"""How long a deploy waits for the server; longer means that its volume or its image is not to be had."""
_PASSWORD_KEY = "password"
_PORT_NAME = "postgres"
_DATA = "/var/lib/postgresql/data"
_SOCKETS = "/var/run/postgresql"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPostgresArgs:
    """What a throwaway Postgres needs to know."""

    environment: Environment
    """What the stack promises; anything but local is refused."""
    namespace: pulumi.Input[str]
    """Namespace of everything the component creates."""
    service: str
    """Name of the service that it belongs to; also the name of database and user."""

    image: str = "postgres:17"
    """Image of the server, Postgres 17 or later."""
    max_connections: int = 100
    """Connections the server accepts; at least 10."""
    resources: Resources = Resources(cpu="100m", memory="256Mi", ephemeral_storage="256Mi")
    """What the container may use."""
    storage: str = "1Gi"
    """Size of the volume, a quantity of bytes."""
    user_id: int = 999
    """User of the server process in the image: 999 in the Debian variant, 70 in the Alpine one."""

    def __post_init__(self) -> None:
        verify(
            self,
            names.service_expectation("service", self.service),
            expect("environment", self.environment.allows_throwaway_database, want=f"{Environment.LOCAL}",
                   why="this database has no backup and no second copy",
                   fix="Use a managed or an external database in this stack."),
            *images.expectations("image", self.image, self.environment),
            quantities.expectation("storage", self.storage, "1Gi"),
            expect("max_connections", self.max_connections >= 10, want="10 or more",
                   why="Postgres keeps some of them for itself"),
            expect("user_id", self.user_id > 0, want="the number of an unprivileged user", why="the pod is not root"),
        )


class LocalPostgres(pulumi.ComponentResource):
    """A single Postgres 17; done when it accepts connections."""

    host: pulumi.Output[str]
    """DNS name inside the namespace; known once the server accepts connections."""
    secret_name: pulumi.Output[str]
    """Name of the Secret that holds the DSN under the key `direct`; known once the server accepts connections."""

    def __init__(
        self, name: str, args: LocalPostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"{PACKAGE}:index:LocalPostgres", name, {"service": args.service}, opts)
        child = pulumi.ResourceOptions(parent=self)
        workload = _workload(args)
        base = foundation.build(name, workload, self)
        password = random.RandomPassword(f"{name}-password", length=32, special=False, opts=child)
        secret = core.v1.Secret(
            f"{name}-secret",
            metadata=workload.metadata(secret_name(args.service)),
            string_data={_PASSWORD_KEY: password.result, DIRECT_KEY: _dsn(args, workload, password)},
            opts=child,
        )
        core.v1.Service(
            f"{name}-service",
            metadata=workload.metadata(workload.name),
            spec=core.v1.ServiceSpecArgs(
                cluster_ip="None",
                selector=workload.selector,
                ports=[core.v1.ServicePortArgs(name=_PORT_NAME, port=PORT, target_port=_PORT_NAME)],
            ),
            opts=child,
        )
        server = apps.v1.StatefulSet(
            f"{name}-server",
            metadata=workload.release_metadata(workload.name),
            spec=_stateful_set(args, workload, base),
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    custom_timeouts=pulumi.CustomTimeouts(create=START_TIMEOUT, update=START_TIMEOUT),
                    depends_on=[*base.resources, secret],
                ),
            ),
        )
        self.host = server.metadata.apply(foundation.object_name)
        self.secret_name = foundation.name_once(secret.metadata, server)
        self.register_outputs({"host": self.host, "secret_name": self.secret_name})


def secret_name(service: str) -> str:
    """Name of the Secret with the database's address, known before anything exists."""
    return names.fit(f"{service}-database")


def selector(service: str) -> dict[str, str]:
    """Labels of the server's pod, for the flows of those that connect to it."""
    return labels.selector(service, component="database")


def _workload(args: LocalPostgresArgs) -> Workload:
    return Workload(
        component="database",
        environment=args.environment,
        image=args.image,
        namespace=args.namespace,
        service=args.service,
        env={
            "POSTGRES_DB": args.service,
            "POSTGRES_USER": args.service,
            "PGDATA": f"{_DATA}/pgdata",
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --data-checksums",
        },
        secrets={"POSTGRES_PASSWORD": pod.SecretKey(secret_name(args.service), _PASSWORD_KEY)},
        reach=Reach(ingress=(Opening(peer=SAME_NAMESPACE, port=_PORT_NAME),)),
    )


def _dsn(args: LocalPostgresArgs, workload: Workload, password: random.RandomPassword) -> pulumi.Output[str]:
    return pulumi.Output.format(
        "postgresql://{0}:{1}@{2}:{3}/{0}", args.service, password.result, workload.name, PORT
    )


def _stateful_set(
    args: LocalPostgresArgs, workload: Workload, base: foundation.Foundation
) -> apps.v1.StatefulSetSpecArgs:
    return apps.v1.StatefulSetSpecArgs(
        replicas=1,
        service_name=workload.name,
        selector=meta.v1.LabelSelectorArgs(match_labels=workload.selector),
        template=pod.template(
            pod.restricted(
                pod.PodSpec(
                    service_account=base.service_account,
                    grace_seconds=60,
                    tmp_size="64Mi",
                    user_id=args.user_id,
                    volumes=(pod.scratch("sockets", "16Mi"),),
                ),
                pod.container(_container(args, workload, base)),
            ),
            labels=workload.release_labels,
            annotations={pod.CONFIG_CHECKSUM: workload.checksum},
        ),
        # A volume that outlives the stack would be found by the next one, which has another password.
        persistent_volume_claim_retention_policy=apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
            when_deleted="Delete", when_scaled="Retain"
        ),
        volume_claim_templates=[_claim(args)],
    )


def _container(args: LocalPostgresArgs, workload: Workload, base: foundation.Foundation) -> pod.ContainerSpec:
    return pod.ContainerSpec(
        name="postgres",
        image=args.image,
        command=("docker-entrypoint.sh", "postgres", "-c", f"max_connections={args.max_connections}"),
        config_map=base.config_map,
        secrets=workload.secrets,
        resources=args.resources,
        ports={_PORT_NAME: PORT},
        mounts={"data": _DATA, "sockets": _SOCKETS},
        # A first start fills the volume and may take a while; SIGINT (Postgres' fast shutdown) is the image's own.
        startup_probe=_accepts_connections(args.service, period_seconds=2, failure_threshold=60),
        readiness_probe=_accepts_connections(args.service, period_seconds=5, failure_threshold=3),
        liveness_probe=core.v1.ProbeArgs(
            tcp_socket=core.v1.TCPSocketActionArgs(port=_PORT_NAME), period_seconds=10, failure_threshold=6
        ),
    )


def _accepts_connections(user: str, *, period_seconds: int, failure_threshold: int) -> core.v1.ProbeArgs:
    # By address: during its first start the image runs a server on the socket alone, which is not yet the real one.
    return core.v1.ProbeArgs(
        exec_=core.v1.ExecActionArgs(command=["pg_isready", "--host=127.0.0.1", f"--username={user}"]),
        period_seconds=period_seconds,
        timeout_seconds=2,
        failure_threshold=failure_threshold,
    )


def _claim(args: LocalPostgresArgs) -> core.v1.PersistentVolumeClaimArgs:
    return core.v1.PersistentVolumeClaimArgs(
        metadata=meta.v1.ObjectMetaArgs(name="data"),
        spec=core.v1.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            resources=core.v1.VolumeResourceRequirementsArgs(requests={"storage": args.storage}),
        ),
    )
