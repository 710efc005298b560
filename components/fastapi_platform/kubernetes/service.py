"""A FastAPI service: pods that answer, scale, and stop without failing a request.

Owns everything that belongs to the serving of one image inside a cluster. Deliberately does not own the namespace, the
database, the migration (pass `MigrationJob` in `depends_on`) or what stands in front of the cluster.

Resources: `v1` ServiceAccount, ConfigMap, Service; `apps/v1` Deployment; `autoscaling/v2` HorizontalPodAutoscaler;
`policy/v1` PodDisruptionBudget; `networking.k8s.io/v1` NetworkPolicy.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import apps, core, meta

from ..planning import drain, images, names, ports, process, quantities, resources, scaling
from ..planning.drain import IN_CLUSTER, DrainBudget, LoadBalancer, Promise
from ..planning.environment import Environment
from ..planning.errors import Expectation, expect, verify
from ..planning.flows import SAME_NAMESPACE, Flow, Peer
from ..planning.placement import Placement
from ..planning.probes import Probe, Probes
from ..planning.process import ProcessModel
from ..planning.resources import Resources
from ..planning.scaling import Autoscaling, Rollout
from . import availability, foundation, pod
from .foundation import PACKAGE, Workload
from .network_policy import Opening, Reach

PORT_NAME = "http"
METRICS_PORT_NAME = "metrics"
METRICS_PORT_VARIABLE = "METRICS_PORT"
"""Where the app reads which port that is."""
SERVICE_PORT = 80
"""Port of the Service inside the cluster; TLS ends in front of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FastApiServiceArgs:
    """What a service needs to know. Plain values: all of it is decided before anything is deployed."""

    image: str
    """Image reference of the release; by digest unless the environment is local."""
    namespace: pulumi.Input[str]
    """Namespace of everything the component creates."""
    service: str
    """Name of the service: its Service, Deployment and labels; a DNS label of at most 30 characters."""

    autoscaling: Autoscaling = Autoscaling()
    """Bounds of the replica count, which nothing else sets."""
    callers: tuple[Peer, ...] = (SAME_NAMESPACE,)
    """Pods that may call the service; the load balancer may anyway."""
    egress: tuple[Flow, ...] = ()
    """What the service may open connections to, besides DNS."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables in clear, besides `ENVIRONMENT` and `SERVICE_NAME`."""
    environment: Environment = Environment.PRODUCTION
    """What the stack promises; decides how strictly the rest is checked."""
    load_balancer: LoadBalancer = IN_CLUSTER
    """What stands in front of the pods; its clocks decide how long a pod takes to stop."""
    metrics_port: int | None = None
    """Port of the metrics endpoint, never part of the Service; none when the app has no such port.

    The app gets it as `METRICS_PORT`.
    """
    placement: Placement = Placement()
    """Nodes that the pods run on, and the credentials for the image."""
    port: int = 8000
    """Port the server listens on; 1024 or more, because the process is not root."""
    probes: Probes = Probes()
    """Startup, readiness and liveness."""
    process: ProcessModel = ProcessModel()
    """Server process: rendered as the container's command."""
    request_timeout_seconds: int = 30
    """Longest request that callers are promised."""
    resources: Resources = Resources()
    """What the container may use."""
    rollout: Rollout = Rollout()
    """How a release replaces the one before."""
    scrapers: tuple[Peer, ...] = ()
    """Who may read the metrics port."""
    secrets: Mapping[str, pod.SecretKey] = field(default_factory=dict[str, pod.SecretKey])
    """Environment variables that come from Secrets."""
    tmp_size: str = "64Mi"
    """Size of `/tmp`, the only writable path; a quantity of bytes."""

    def __post_init__(self) -> None:
        verify(
            self,
            names.service_expectation("service", self.service),
            *images.expectations("image", self.image, self.environment),
            scaling.replica_expectation("autoscaling.min_replicas", self.autoscaling.min_replicas, self.environment),
            *ports.expectations(metrics_port=self.metrics_port, port=self.port),
            quantities.expectation("tmp_size", self.tmp_size, "64Mi"),
            resources.scratch_expectation(self.tmp_size, self.resources),
            scaling.startup_expectation(self.rollout, self.probes.startup),
            drain.source_expectation(self.load_balancer, has_callers=self._has_callers()),
            self._scraped(),
            self._one_metrics_port(),
            *foundation.env_expectations(self.env, self.secrets),
            *self.drain_budget().expectations(),
        )

    def _has_callers(self) -> bool:
        return any(peer != SAME_NAMESPACE for peer in self.callers)

    def _scraped(self) -> Expectation:
        return expect(
            "scrapers", not self.scrapers or self.metrics_port is not None, got=f"{len(self.scrapers)} without a port",
            want="a metrics_port beside them", why="there is nothing that they could read",
            fix="Set metrics_port to the port of the metrics endpoint.",
        )

    def _one_metrics_port(self) -> Expectation:
        return expect(
            "env", METRICS_PORT_VARIABLE not in self.env or self.metrics_port is None,
            got=f"{METRICS_PORT_VARIABLE} beside metrics_port", want="the port once",
            why="the app and its scrapers would look at different ports",
            fix=f"Remove {METRICS_PORT_VARIABLE} from env.",
        )

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables in clear."""
        port = {} if self.metrics_port is None else {METRICS_PORT_VARIABLE: str(self.metrics_port)}
        return {**port, **self.env}

    def drain_budget(self) -> DrainBudget:
        """The clocks of a stopping pod: preStop and termination grace are computed from the rest."""
        return drain.plan(
            request_timeout_seconds=self.request_timeout_seconds,
            graceful_timeout_seconds=self.process.graceful_timeout_seconds,
            lame_duck_seconds=self.process.effective_lame_duck_seconds,
            keep_alive_seconds=self.process.keep_alive_seconds,
            load_balancer=self.load_balancer,
        )


class FastApiService(pulumi.ComponentResource):
    """Runs one FastAPI image; done when the new release serves.

    The first deploy begins with one pod, and the autoscaler raises that to its minimum within seconds.
    """

    address: pulumi.Output[str]
    """`http://` address of the Service inside the cluster; known once the release serves."""
    service_account: pulumi.Output[str]
    """Name of the pods' identity, for bindings."""

    def __init__(
        self, name: str, args: FastApiServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"{PACKAGE}:index:FastApiService", name, {"image": args.image}, opts)
        child = pulumi.ResourceOptions(parent=self)
        workload = _workload(args)
        base = foundation.build(name, workload, self)
        deployment = apps.v1.Deployment(
            f"{name}-deployment",
            metadata=workload.release_metadata(workload.name, _promise(args)),
            spec=_deployment(args, workload, base),
            opts=availability.awaited(self, args.rollout, base, foundation.gates(opts)),
        )
        service = core.v1.Service(
            f"{name}-service",
            metadata=workload.metadata(args.service),
            spec=_service(workload),
            opts=child,
        )
        availability.autoscaler(f"{name}-autoscaler", workload, args.autoscaling, child)
        availability.disruption_budget(f"{name}-disruption", workload, child)
        self.address = pulumi.Output.format(
            "http://{0}.{1}.svc:{2}", foundation.name_once(service.metadata, deployment), args.namespace, SERVICE_PORT
        )
        self.service_account = pulumi.Output.from_input(base.service_account)
        self.register_outputs({"address": self.address, "service_account": self.service_account})


def _workload(args: FastApiServiceArgs) -> Workload:
    return Workload(
        component="api",
        environment=args.environment,
        image=args.image,
        namespace=args.namespace,
        service=args.service,
        env=args.variables,
        secrets=args.secrets,
        reach=Reach(egress=args.egress, ingress=_ingress(args)),
    )


def _ingress(args: FastApiServiceArgs) -> tuple[Opening, ...]:
    outside = tuple(Peer(cidr=network) for network in args.load_balancer.networks)
    calls = tuple(Opening(peer=peer, port=PORT_NAME) for peer in (*args.callers, *outside))
    return (*calls, *(Opening(peer=peer, port=METRICS_PORT_NAME) for peer in args.scrapers))


def _promise(args: FastApiServiceArgs) -> dict[str, str]:
    promise = Promise(load_balancer=args.load_balancer, request_timeout_seconds=args.request_timeout_seconds)
    return {drain.PROMISE_ANNOTATION: promise.text()}


def _deployment(
    args: FastApiServiceArgs, workload: Workload, base: foundation.Foundation
) -> apps.v1.DeploymentSpecArgs:
    # No replicas: the autoscaler owns the number, and a second owner would reset it at every deploy.
    return apps.v1.DeploymentSpecArgs(
        selector=meta.v1.LabelSelectorArgs(match_labels=workload.selector),
        template=pod.template(
            pod.restricted(_pod(args, workload, base), _container(args, base)),
            labels=workload.release_labels,
            annotations={pod.CONFIG_CHECKSUM: workload.checksum},
        ),
        **availability.rolling(args.rollout),
    )


def _pod(args: FastApiServiceArgs, workload: Workload, base: foundation.Foundation) -> pod.PodSpec:
    return pod.PodSpec(
        service_account=base.service_account,
        grace_seconds=args.drain_budget().termination_grace_seconds,
        tmp_size=args.tmp_size,
        placement=args.placement,
        spread_over=workload.selector,
    )


def _container(args: FastApiServiceArgs, base: foundation.Foundation) -> core.v1.ContainerArgs:
    pause = core.v1.SleepActionArgs(seconds=args.drain_budget().pre_stop_seconds)
    metrics = {} if args.metrics_port is None else {METRICS_PORT_NAME: args.metrics_port}
    return pod.container(
        pod.ContainerSpec(
            name="api",
            image=args.image,
            command=process.command(args.process, args.port),
            config_map=base.config_map,
            secrets=args.secrets,
            resources=args.resources,
            ports={PORT_NAME: args.port, **metrics},
            lifecycle=core.v1.LifecycleArgs(pre_stop=core.v1.LifecycleHandlerArgs(sleep=pause)),
            startup_probe=_probe(args.probes.liveness_path, args.probes.startup),
            readiness_probe=_probe(args.probes.readiness_path, args.probes.readiness),
            liveness_probe=_probe(args.probes.liveness_path, args.probes.liveness),
        )
    )


def _probe(path: str, probe: Probe) -> core.v1.ProbeArgs:
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(path=path, port=PORT_NAME),
        period_seconds=probe.period_seconds,
        timeout_seconds=probe.timeout_seconds,
        failure_threshold=probe.failure_threshold,
    )


def _service(workload: Workload) -> core.v1.ServiceSpecArgs:
    port = core.v1.ServicePortArgs(name=PORT_NAME, port=SERVICE_PORT, target_port=PORT_NAME, app_protocol="http")
    return core.v1.ServiceSpecArgs(type="ClusterIP", selector=workload.selector, ports=[port])
