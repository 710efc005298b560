"""The migration gate: one Job per release, awaited before anything that needs the new schema.

Owns the Job, its pod and what the pod stands on. Deliberately does not own the secret or the database (they outlive
every release), nor the order of the rollout: whoever needs the schema passes this component in `depends_on`. Never
connects through a pooler, whose transaction mode would break session locks.

Resources: `v1` ServiceAccount, ConfigMap; `batch/v1` Job; `networking.k8s.io/v1` NetworkPolicy.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import batch

from ..planning import images, names, quantities, resources
from ..planning.environment import Environment
from ..planning.errors import expect, verify
from ..planning.flows import Flow
from ..planning.placement import Placement
from ..planning.resources import Resources
from . import foundation, pod
from .foundation import PACKAGE, Workload
from .network_policy import Reach

CREATE_MARGIN_SECONDS = 120
"""Pulumi must outlive the Job's own deadline, or it gives up on a Job that is still running."""
STOP_TIMEOUT_SECONDS = 30
"""Seconds a migration that is being ended gets to roll back and say so."""
GIVE_UP_MARGIN_SECONDS = 60
"""So long before Kubernetes ends it the runner gives up waiting, and says for what; half of a short deadline."""
DATABASE_VARIABLE = "DATABASE_URL"
"""Environment variable that carries the address of the database."""
DEADLINE_VARIABLE = "MIGRATION_DEADLINE_SECONDS"
"""Environment variable that tells the runner how long it may wait, for another runner or for a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationJobArgs:
    """What a migration needs to know. Plain values: all of it is decided before anything is deployed."""

    direct_database: pod.SecretKey
    """Secret key with the DSN that reaches Postgres without a pooler."""
    image: str
    """Image reference of the release; its digest is part of the Job's identity."""
    namespace: pulumi.Input[str]
    """Namespace of everything the component creates."""
    service: str
    """Name of the service that is migrated; goes into the Job's name and labels."""

    command: tuple[str, ...] = ("python", "-m", "fastapi_platform_runtime.migrate")
    """What the container runs; part of the Job's identity. The default is `fastapi-platform-runtime`'s."""
    deadline_seconds: int = 900
    """Kubernetes ends the Job after this long; at least 10. The runner is told to give up waiting a minute before, as
    `MIGRATION_DEADLINE_SECONDS`. Longer backfills belong in a worker."""
    egress: tuple[Flow, ...] = ()
    """What the Job may open connections to, besides DNS."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables in clear."""
    environment: Environment = Environment.PRODUCTION
    """What the stack promises."""
    placement: Placement = Placement()
    """Nodes that the pod runs on, and the credentials for the image."""
    resources: Resources = Resources()
    """What the container may use."""
    secrets: Mapping[str, pod.SecretKey] = field(default_factory=dict[str, pod.SecretKey])
    """Environment variables that come from Secrets, besides `DATABASE_URL`."""
    tmp_size: str = "64Mi"
    """Size of `/tmp`, the only writable path; a quantity of bytes."""

    def __post_init__(self) -> None:
        verify(
            self,
            names.service_expectation("service", self.service),
            expect("deadline_seconds", self.deadline_seconds >= 10, want="10 seconds or more",
                   why="a Job that is ended at once never migrates"),
            expect("command", bool(self.command), want="at least one word",
                   why="the image's default command would start the server instead"),
            quantities.expectation("tmp_size", self.tmp_size, "64Mi"),
            *images.expectations("image", self.image, self.environment),
            resources.scratch_expectation(self.tmp_size, self.resources),
            foundation.command_expectation("command", self.command),
            expect("env", DEADLINE_VARIABLE not in self.env, got=DEADLINE_VARIABLE, want="deadline_seconds instead",
                   why="the runner must give up before Kubernetes ends it"),
            *foundation.env_expectations(self.settings, self.variables),
        )

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables in clear, with the deadline of the runner."""
        waits_seconds = max(self.deadline_seconds - GIVE_UP_MARGIN_SECONDS, self.deadline_seconds // 2)
        return {**self.env, DEADLINE_VARIABLE: str(waits_seconds)}

    @property
    def variables(self) -> dict[str, pod.SecretKey]:
        """Environment variables that come from Secrets; no setting moves the Job to another database."""
        return {**self.secrets, DATABASE_VARIABLE: self.direct_database}

    @property
    def job_name(self) -> str:
        """Same image and command, same name: a second `up` finds the finished Job and runs nothing.

        Any other change of its pod, such as a variable, replaces the Job, and so runs the migration again.
        """
        return names.fit(f"{self.service}-migrate", suffix=names.digest(self.image, *self.command, length=12))


class MigrationJob(pulumi.ComponentResource):
    """Runs the migration of one release and is done only when it has succeeded."""

    job_name: pulumi.Output[str]
    """Name of the finished Job, for logs and runbooks; known only once the migration has succeeded."""

    def __init__(self, name: str, args: MigrationJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{PACKAGE}:index:MigrationJob", name, {"image": args.image}, opts)
        workload = _workload(args)
        base = foundation.build(name, workload, self)
        job = batch.v1.Job(
            f"{name}-job",
            metadata=workload.release_metadata(args.job_name, {"pulumi.com/replaceUnready": "true"}),
            spec=_job(args, workload, base),
            opts=pulumi.ResourceOptions.merge(
                _once_per_release(self, args.deadline_seconds, base), foundation.gates(opts)
            ),
        )
        self.job_name = job.metadata.apply(foundation.object_name)
        self.register_outputs({"job_name": self.job_name})


def _workload(args: MigrationJobArgs) -> Workload:
    return Workload(
        component="migration",
        environment=args.environment,
        image=args.image,
        namespace=args.namespace,
        service=args.service,
        env=args.settings,
        secrets=args.variables,
        reach=Reach(egress=args.egress),
    )


def _job(args: MigrationJobArgs, workload: Workload, base: foundation.Foundation) -> batch.v1.JobSpecArgs:
    container = pod.container(
        pod.ContainerSpec(
            name="migrate",
            image=args.image,
            command=args.command,
            config_map=base.config_map,
            secrets=workload.secrets,
            resources=args.resources,
        )
    )
    # No ttl_seconds_after_finished: a refresh would drop the vanished Job from the state and run it again.
    # No pod_failure_policy: Pulumi does not recognise its end and would wait for the full timeout.
    return batch.v1.JobSpecArgs(
        active_deadline_seconds=args.deadline_seconds,
        backoff_limit=0,
        template=pod.template(
            pod.restricted(
                pod.PodSpec(
                    service_account=base.service_account,
                    grace_seconds=STOP_TIMEOUT_SECONDS,
                    tmp_size=args.tmp_size,
                    placement=args.placement,
                    restart_policy="Never",
                ),
                container,
            ),
            labels=workload.release_labels,
            annotations={},
        ),
    )


def _once_per_release(
    parent: pulumi.Resource, deadline_seconds: int, base: foundation.Foundation
) -> pulumi.ResourceOptions:
    """A failed Job is replaced by the next `up`; a fixed name means the old one must go first."""
    return pulumi.ResourceOptions(
        parent=parent,
        custom_timeouts=pulumi.CustomTimeouts(create=f"{deadline_seconds + CREATE_MARGIN_SECONDS}s"),
        delete_before_replace=True,
        depends_on=list(base.resources),
        replace_on_changes=["*"],
    )
