"""A background worker: the service's image, another command, no port.

Owns a Deployment that takes work from somewhere else, with its identity, settings, disruption budget and network
policy. Deliberately has no Service and no HTTP probes: a worker that nobody can call needs neither.

Resources: `v1` ServiceAccount, ConfigMap; `apps/v1` Deployment; `autoscaling/v2` HorizontalPodAutoscaler (when asked
for); `policy/v1` PodDisruptionBudget; `networking.k8s.io/v1` NetworkPolicy.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import apps, core, meta

from ..planning import images, names, quantities, resources, scaling
from ..planning.environment import Environment
from ..planning.errors import Expectation, expect, verify
from ..planning.flows import Flow
from ..planning.placement import Placement
from ..planning.probes import Probe
from ..planning.resources import Resources
from ..planning.scaling import Autoscaling, Rollout
from . import availability, foundation, pod
from .foundation import PACKAGE, Workload
from .network_policy import Reach

STOP_MARGIN_SECONDS = 5
"""Between the worker's own deadline and SIGKILL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundWorkerArgs:
    """What a worker needs to know. Plain values: all of it is decided before anything is deployed."""

    command: tuple[str, ...]
    """What the container runs instead of the server."""
    image: str
    """Image reference of the release; by digest unless the environment is local."""
    namespace: pulumi.Input[str]
    """Namespace of everything the component creates."""
    service: str
    """Name of the service that the worker belongs to."""
    worker: str
    """Name of the worker within its service; a DNS label of at most 18 characters."""

    autoscaling: Autoscaling | None = None
    """Bounds of the replica count when CPU decides it; none for a fixed count.

    The deploy that goes from a fixed count to bounds passes through one pod.
    """
    egress: tuple[Flow, ...] = ()
    """What the worker may open connections to, besides DNS."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables in clear."""
    environment: Environment = Environment.PRODUCTION
    """What the stack promises."""
    heartbeat: Probe = Probe(period_seconds=30, failure_threshold=3, timeout_seconds=10)
    """How often `heartbeat_command` runs, and how many failures restart the worker."""
    heartbeat_command: tuple[str, ...] = ()
    """Command in the container that fails when the worker is stuck; none: only a crash restarts it."""
    placement: Placement = Placement()
    """Nodes that the pods run on, and the credentials for the image."""
    replicas: int = 2
    """Number of pods when `autoscaling` is none."""
    resources: Resources = Resources()
    """What the container may use."""
    rollout: Rollout = Rollout()
    """How a release replaces the one before."""
    secrets: Mapping[str, pod.SecretKey] = field(default_factory=dict[str, pod.SecretKey])
    """Environment variables that come from Secrets."""
    stop_timeout_seconds: int = 60
    """Seconds a task in progress gets after SIGTERM; at least 1."""
    tmp_size: str = "64Mi"
    """Size of `/tmp`, the only writable path; a quantity of bytes."""

    def __post_init__(self) -> None:
        verify(
            self,
            names.service_expectation("service", self.service),
            names.role_expectation("worker", self.worker),
            expect("command", bool(self.command), want="at least one word",
                   why="the image's default command would start the server a second time"),
            *images.expectations("image", self.image, self.environment),
            self._replicas(),
            expect("stop_timeout_seconds", self.stop_timeout_seconds >= 1, want="1 second or more",
                   why="every task in progress would be lost at every release"),
            quantities.expectation("tmp_size", self.tmp_size, "64Mi"),
            resources.scratch_expectation(self.tmp_size, self.resources),
            foundation.command_expectation("command", self.command),
            foundation.command_expectation("heartbeat_command", self.heartbeat_command),
            *foundation.env_expectations(self.env, self.secrets),
        )

    def _replicas(self) -> Expectation:
        if self.autoscaling is None:
            return scaling.replica_expectation("replicas", self.replicas, self.environment)
        fewest = self.autoscaling.min_replicas
        return scaling.replica_expectation("autoscaling.min_replicas", fewest, self.environment)


class BackgroundWorker(pulumi.ComponentResource):
    """Runs one worker; done when the new release's pods are up."""

    service_account: pulumi.Output[str]
    """Name of the pods' identity, for bindings."""

    def __init__(self, name: str, args: BackgroundWorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{PACKAGE}:index:BackgroundWorker", name, {"image": args.image}, opts)
        child = pulumi.ResourceOptions(parent=self)
        workload = _workload(args)
        base = foundation.build(name, workload, self)
        apps.v1.Deployment(
            f"{name}-deployment",
            metadata=workload.release_metadata(workload.name),
            spec=_deployment(args, workload, base),
            opts=availability.awaited(self, args.rollout, base, foundation.gates(opts)),
        )
        if args.autoscaling is not None:
            availability.autoscaler(f"{name}-autoscaler", workload, args.autoscaling, child)
        availability.disruption_budget(f"{name}-disruption", workload, child)
        self.service_account = pulumi.Output.from_input(base.service_account)
        self.register_outputs({"service_account": self.service_account})


def _workload(args: BackgroundWorkerArgs) -> Workload:
    return Workload(
        component=f"worker-{args.worker}",
        environment=args.environment,
        image=args.image,
        namespace=args.namespace,
        service=args.service,
        env=args.env,
        secrets=args.secrets,
        reach=Reach(egress=args.egress),
    )


def _deployment(
    args: BackgroundWorkerArgs, workload: Workload, base: foundation.Foundation
) -> apps.v1.DeploymentSpecArgs:
    return apps.v1.DeploymentSpecArgs(
        replicas=args.replicas if args.autoscaling is None else None,
        selector=meta.v1.LabelSelectorArgs(match_labels=workload.selector),
        template=pod.template(
            pod.restricted(
                pod.PodSpec(
                    service_account=base.service_account,
                    grace_seconds=args.stop_timeout_seconds + STOP_MARGIN_SECONDS,
                    tmp_size=args.tmp_size,
                    placement=args.placement,
                    spread_over=workload.selector,
                ),
                pod.container(_container(args, base)),
            ),
            labels=workload.release_labels,
            annotations={pod.CONFIG_CHECKSUM: workload.checksum},
        ),
        **availability.rolling(args.rollout),
    )


def _container(args: BackgroundWorkerArgs, base: foundation.Foundation) -> pod.ContainerSpec:
    return pod.ContainerSpec(
        name="worker",
        image=args.image,
        command=args.command,
        config_map=base.config_map,
        secrets=args.secrets,
        resources=args.resources,
        liveness_probe=_heartbeat(args),
    )


def _heartbeat(args: BackgroundWorkerArgs) -> core.v1.ProbeArgs | None:
    if not args.heartbeat_command:
        return None
    return core.v1.ProbeArgs(
        exec_=core.v1.ExecActionArgs(command=list(args.heartbeat_command)),
        period_seconds=args.heartbeat.period_seconds,
        timeout_seconds=args.heartbeat.timeout_seconds,
        failure_threshold=args.heartbeat.failure_threshold,
    )
