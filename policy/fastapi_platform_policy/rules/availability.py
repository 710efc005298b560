"""Enough pods, one owner of their number, and a limit to how many may go at once.

Sources: https://kubernetes.io/docs/tasks/run-application/configure-pdb/
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from collections.abc import Iterator

from ..program import Program
from ..record import Marker, Record, Value, differs, items, unknown_paths
from ..rule import Answer, Rule, Severity, Thresholds, compliant, unknown, verdict_of, violated
from ..selection import scale_targets
from ..traffic import DIRECTIONS, denies
from ..workloads import Workload

UNSURE = "what its PodDisruptionBudget allows is known only after the deployment"
SCALED = ("Deployment", "StatefulSet")


def _enough(program: Program, thresholds: Thresholds) -> Iterator[Answer]:
    for workload in program.served:
        if workload.kind != "Deployment" or not workload.environment(thresholds.assumed_environment).needs_two_replicas:
            continue
        fewest = _fewest_pods(program, workload)
        if not isinstance(fewest, int):
            yield unknown(workload.urn, "its number of pods is known only after the deployment")
        elif fewest < thresholds.min_replicas:
            yield violated(workload.urn, f"it may run on {fewest} pod, want {thresholds.min_replicas} or more")
        else:
            yield compliant(workload.urn)


def _fewest_pods(program: Program, workload: Workload) -> Value:
    """The autoscaler's minimum, else the stated count, else Kubernetes' default of 1."""
    scalers = program.autoscalers.get(workload.urn, [])
    stated = scalers[0].at("spec", "minReplicas") if scalers else workload.record.at("spec", "replicas")
    return 1 if stated is Marker.ABSENT else stated


def _owned_once(program: Program, _: Thresholds) -> Iterator[Answer]:
    for scaler in program.of_kind("HorizontalPodAutoscaler"):
        targets = scale_targets(scaler, program.pods)
        wrong = [] if targets else ["its scaleTargetRef names no workload of this program"]
        wrong += [
            f"{target.kind} {target.name} states replicas too, which every deploy resets"
            for target in targets
            if target.record.at("spec", "replicas") is not Marker.ABSENT
            and "spec.replicas" not in target.record.options.ignore_changes
        ]
        unsure = [f"{path} is known only after the deployment" for path in unknown_paths(scaler.at("spec"))]
        yield verdict_of(scaler.urn, [*wrong, *_bounds(scaler)], unsure)


def _bounds(scaler: Record) -> Iterator[str]:
    low, high = scaler.at("spec", "minReplicas"), scaler.at("spec", "maxReplicas")
    if isinstance(high, int) and (low if isinstance(low, int) else 1) >= high:
        yield f"maxReplicas ({high}) leaves no room above minReplicas"
    if scaler.at("spec", "metrics") is Marker.ABSENT or scaler.at("spec", "metrics") == []:
        yield "it states no metric"


def _disruption(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        if workload.kind not in SCALED or not _has_several_pods(program, workload):
            continue
        budgets = program.budgets.get(workload.urn, [])
        own = [budget for budget in budgets if workload in budget.workloads]
        wrong = [problem for budget in own for problem in _budget_problems(program, workload, budget.record)]
        if not budgets:
            wrong = ["no PodDisruptionBudget selects its pods"]
        unsure = not own or any(unknown_paths(budget.record.at("spec")) for budget in own)
        yield verdict_of(workload.urn, wrong, [UNSURE] if unsure else [])


def _has_several_pods(program: Program, workload: Workload) -> bool:
    fewest = _fewest_pods(program, workload)
    return not isinstance(fewest, int) or fewest > 1


def _budget_problems(program: Program, workload: Workload, budget: Record) -> Iterator[str]:
    unavailable, available = budget.at("spec", "maxUnavailable"), budget.at("spec", "minAvailable")
    fewest = _fewest_pods(program, workload)
    if unavailable in (0, "0%") or available == "100%":
        yield "its PodDisruptionBudget allows no eviction, so no node can ever be drained"
    if unavailable == "100%" or available in (0, "0%"):
        yield "its PodDisruptionBudget allows all pods to go at once"
    if isinstance(available, int) and isinstance(fewest, int) and available >= fewest:
        yield f"minAvailable ({available}) is not below the fewest pods ({fewest}), so no node can be drained"
    if differs(budget.at("spec", "unhealthyPodEvictionPolicy"), "AlwaysAllow"):
        yield "unhealthyPodEvictionPolicy is not AlwaysAllow, so a pod that crashes blocks every drain"


def _declared_traffic(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        policies = program.policies.get(workload.urn, [])
        picking = [policy.record for policy in policies if workload in policy.workloads]
        answers = {direction: [denies(policy, direction) for policy in picking] for direction in DIRECTIONS}
        open_ = [direction for direction in DIRECTIONS if True not in answers[direction]]
        if open_ and any(workload in policy.unsure for policy in policies):
            yield unknown(workload.urn, "whether a NetworkPolicy selects its pods is known only after the deployment")
            continue
        unsure = [each for each in open_ if None in answers[each]]
        yield verdict_of(
            workload.urn,
            [f"no NetworkPolicy denies its {each.lower()} by default" for each in open_ if each not in unsure],
            [f"whether its {each.lower()} is denied is known only after the deployment" for each in unsure],
        )


def _internal(program: Program, _: Thresholds) -> Iterator[Answer]:
    for service in program.of_kind("Service"):
        kind = service.at("spec", "type")
        if kind is Marker.UNKNOWN:
            yield unknown(service.urn, "its type is known only after the deployment")
            continue
        wrong: list[str] = []
        if kind in ("NodePort", "LoadBalancer"):
            wrong.append(f"type {kind} opens it to the network beside the gateway")
        if items(service.at("spec", "externalIPs")):
            wrong.append("externalIPs open it to the network")
        yield verdict_of(service.urn, wrong)


RULES = (
    Rule(
        name="replicas-two-or-more",
        check=_enough,
        controls=("min-two-replicas",),
        fix="Set the autoscaler's minReplicas, or spec.replicas where there is none, to 2 or more.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
        why="One pod is an outage at every node upgrade.",
    ),
    Rule(
        name="replicas-owned-once",
        check=_owned_once,
        controls=("hpa-configured",),
        fix="Leave spec.replicas out where an autoscaler targets the workload; give it bounds and a metric.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#scaling-a-deployment",
        why="Every deploy takes away the pods that the autoscaler had added.",
    ),
    Rule(
        name="disruption-budget-present",
        check=_disruption,
        controls=("pdb-present",),
        fix="Add a PodDisruptionBudget with maxUnavailable: 1 and unhealthyPodEvictionPolicy: AlwaysAllow.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
        why="A node upgrade may take all pods at once, or is blocked for ever.",
    ),
    Rule(
        name="traffic-declared",
        check=_declared_traffic,
        controls=("egress-declared",),
        fix="Select the pods with a NetworkPolicy of policyTypes Ingress and Egress, and list the flows they need.",
        severity=Severity.MEDIUM,
        url="https://kubernetes.io/docs/concepts/services-networking/network-policies/",
        why="A pod that is taken over reaches everything that the cluster reaches.",
    ),
    Rule(
        name="services-internal",
        check=_internal,
        controls=("reverse-proxy-in-front",),
        fix="Use type ClusterIP and let a gateway be the only way in.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types",
        why="Clients go around TLS, rate limits and the firewall of the gateway.",
    ),
)
