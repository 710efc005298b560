"""A scheduled job: the service's image, run on a clock, one run at a time.

Owns a CronJob with its identity, settings and network policy. Deliberately never retries by itself: a job that is safe
to run twice says so with `retries`.

Resources: `v1` ServiceAccount, ConfigMap; `batch/v1` CronJob; `networking.k8s.io/v1` NetworkPolicy.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import batch

from ..planning import images, names, quantities, resources, schedule
from ..planning.environment import Environment
from ..planning.errors import expect, verify
from ..planning.flows import Flow
from ..planning.placement import Placement
from ..planning.resources import Resources
from . import foundation, pod
from .foundation import PACKAGE, Workload
from .network_policy import Reach


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledJobArgs:
    """What a schedule needs to know. Plain values: all of it is decided before anything is deployed."""

    command: tuple[str, ...]
    """What the container runs."""
    image: str
    """Image reference of the release; by digest unless the environment is local."""
    job: str
    """Name of the job within its service; a DNS label of at most 18 characters."""
    namespace: pulumi.Input[str]
    """Namespace of everything the component creates."""
    schedule: str
    """When to run: five cron fields, or `@daily` and its like."""
    service: str
    """Name of the service that the job belongs to."""

    deadline_seconds: int = 3600
    """Kubernetes ends a run after this long; at least 10."""
    egress: tuple[Flow, ...] = ()
    """What the job may open connections to, besides DNS."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables in clear."""
    environment: Environment = Environment.PRODUCTION
    """What the stack promises."""
    kept_runs: int = 3
    """Finished runs kept of each kind, succeeded and failed, for their logs."""
    placement: Placement = Placement()
    """Nodes that the pods run on, and the credentials for the image."""
    resources: Resources = Resources()
    """What the container may use."""
    retries: int = 0
    """Further attempts of a failed run; only for jobs that may run twice."""
    secrets: Mapping[str, pod.SecretKey] = field(default_factory=dict[str, pod.SecretKey])
    """Environment variables that come from Secrets."""
    start_window_seconds: int = 300
    """How late a run may still start; later it is skipped. At least 10, or the controller never finds it due."""
    stop_timeout_seconds: int = 30
    """Seconds the run gets after SIGTERM."""
    suspended: bool = False
    """Whether no run starts until this is taken back."""
    time_zone: str = "Etc/UTC"
    """Time zone of the schedule, an IANA name."""
    tmp_size: str = "64Mi"
    """Size of `/tmp`, the only writable path; a quantity of bytes."""

    def __post_init__(self) -> None:
        verify(
            self,
            names.service_expectation("service", self.service),
            names.role_expectation("job", self.job),
            expect("command", bool(self.command), want="at least one word",
                   why="the image's default command would start the server"),
            *schedule.expectations(self.schedule, self.time_zone),
            expect("deadline_seconds", self.deadline_seconds >= 10, want="10 seconds or more",
                   why="a run that is ended at once does nothing"),
            expect("start_window_seconds", self.start_window_seconds >= 10, want="10 seconds or more",
                   why="the controller looks every 10 seconds and would never find the run due"),
            expect("retries", 0 <= self.retries <= 10, want="0 to 10", why="more only hides a failure"),
            expect("kept_runs", 1 <= self.kept_runs <= 20, want="1 to 20", why="a failed run's log must be readable"),
            quantities.expectation("tmp_size", self.tmp_size, "64Mi"),
            resources.scratch_expectation(self.tmp_size, self.resources),
            expect("stop_timeout_seconds", self.stop_timeout_seconds >= 1, want="1 second or more",
                   why="a run that is being ended could not clean up"),
            *images.expectations("image", self.image, self.environment),
            foundation.command_expectation("command", self.command),
            *foundation.env_expectations(self.env, self.secrets),
        )


class ScheduledJob(pulumi.ComponentResource):
    """Runs a command on a clock; done when the schedule is in place."""

    service_account: pulumi.Output[str]
    """Name of the pods' identity, for bindings."""

    def __init__(self, name: str, args: ScheduledJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{PACKAGE}:index:ScheduledJob", name, {"image": args.image}, opts)
        workload = _workload(args)
        base = foundation.build(name, workload, self)
        batch.v1.CronJob(
            f"{name}-cronjob",
            metadata=workload.release_metadata(workload.name),
            spec=_cron_job(args, workload, base),
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(parent=self, depends_on=list(base.resources)), foundation.gates(opts)
            ),
        )
        self.service_account = pulumi.Output.from_input(base.service_account)
        self.register_outputs({"service_account": self.service_account})


def _workload(args: ScheduledJobArgs) -> Workload:
    return Workload(
        component=f"schedule-{args.job}",
        environment=args.environment,
        image=args.image,
        namespace=args.namespace,
        service=args.service,
        env=args.env,
        secrets=args.secrets,
        reach=Reach(egress=args.egress),
    )


def _cron_job(
    args: ScheduledJobArgs, workload: Workload, base: foundation.Foundation
) -> batch.v1.CronJobSpecArgs:
    return batch.v1.CronJobSpecArgs(
        schedule=args.schedule,
        time_zone=args.time_zone,
        concurrency_policy="Forbid",
        starting_deadline_seconds=args.start_window_seconds,
        successful_jobs_history_limit=args.kept_runs,
        failed_jobs_history_limit=args.kept_runs,
        suspend=args.suspended,
        job_template=batch.v1.JobTemplateSpecArgs(spec=_job(args, workload, base)),
    )


def _job(args: ScheduledJobArgs, workload: Workload, base: foundation.Foundation) -> batch.v1.JobSpecArgs:
    container = pod.container(
        pod.ContainerSpec(
            name="job",
            image=args.image,
            command=args.command,
            config_map=base.config_map,
            secrets=args.secrets,
            resources=args.resources,
        )
    )
    return batch.v1.JobSpecArgs(
        active_deadline_seconds=args.deadline_seconds,
        backoff_limit=args.retries,
        template=pod.template(
            pod.restricted(
                pod.PodSpec(
                    service_account=base.service_account,
                    grace_seconds=args.stop_timeout_seconds,
                    tmp_size=args.tmp_size,
                    placement=args.placement,
                    restart_policy="Never",
                ),
                container,
            ),
            labels=workload.release_labels,
            annotations={pod.CONFIG_CHECKSUM: workload.checksum},
        ),
    )
