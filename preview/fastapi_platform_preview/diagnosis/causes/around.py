"""What stands around the pods: the rollout itself, the autoscaler, the disruption budget, and that nothing serves.

Owns what no single container says. Deliberately told only where no pod explains it, and never a reason to end a deploy.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
"""

from collections.abc import Iterator

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import at, text
from fastapi_platform_policy.workloads import full_name

from ..finding import Finding, Rank
from ..observed import Live, Observed, moment
from ..release import Release

BLIND_SECONDS = 120
"""For so long after a start there are no metrics of a pod yet."""


def rollout(release: Release) -> Iterator[Finding]:
    """A rollout that has made no progress for longer than it may."""
    live = release.live
    if live is None or text(at(live.condition("Progressing"), "reason")) != "ProgressDeadlineExceeded":
        return
    seconds = live.number("spec", "progressDeadlineSeconds")
    yield Finding(
        rank=Rank.NOT_READY, subject=release.name, urn=release.workload.urn,
        cause=f"the rollout has made no progress for {seconds} s",
        evidence=(text(at(live.condition("Progressing"), "message")),),
        fix=f"kubectl --namespace {live.at('metadata', 'namespace')} describe deployment {live.name}",
        objects=(live.name,), traces=frozenset({f"{live.uid} {live.number('metadata', 'generation')}"}),
    )  # fmt: skip


def autoscalers(program: Program, seen: Observed) -> Iterator[Finding]:
    """An autoscaler that does not know how busy its pods are: it scales nothing."""
    for record in program.of_kind("HorizontalPodAutoscaler"):
        live = seen.named("HorizontalPodAutoscaler", text(record.at("metadata", "name")))
        active = live.condition("ScalingActive") if live is not None else None
        if live is None or not live.is_false("ScalingActive") or text(at(active, "reason")) == "ScalingDisabled":
            continue
        if seen.age_seconds(moment(at(active, "lastTransitionTime"))) < BLIND_SECONDS:
            continue
        yield _around(
            full_name(record), record.urn, live, "it cannot read metrics, and scales nothing",
            (text(at(active, "message")),),
            "Does the cluster have metrics-server, and does it answer? kubectl get apiservice v1beta1.metrics.k8s.io",
        )


def budgets(program: Program, seen: Observed) -> Iterator[Finding]:
    """A disruption budget that lets no pod go, because too few are healthy."""
    for record in program.of_kind("PodDisruptionBudget"):
        live = seen.named("PodDisruptionBudget", text(record.at("metadata", "name")))
        if live is None or not live.number("status", "expectedPods"):
            continue
        healthy, wanted = live.number("status", "currentHealthy"), live.number("status", "desiredHealthy")
        if healthy >= wanted or live.number("status", "disruptionsAllowed"):
            continue
        yield _around(
            full_name(record), record.urn, live, "no pod may be evicted: too few are healthy",
            (f"{healthy} healthy, {wanted} wanted",), "Mend the pods; a node upgrade waits for them until then.",
        )


def none_ready(release: Release) -> Finding:
    """Requests go nowhere, and nothing says why."""
    live = release.live
    namespace = text(live.at("metadata", "namespace")) if live else "<namespace>"
    return Finding(
        rank=Rank.NOT_READY, subject=release.name, urn=release.workload.urn, cause="nothing serves: no pod is ready",
        evidence=(), fix=f"What is under way may end well; the pods: kubectl --namespace {namespace} get pods",
    )


def missing(release: Release, namespace: str, stack: str) -> Finding:
    """Something that a stack consists of is not there."""
    return Finding(
        rank=Rank.NOT_RUNNING, subject=release.name, urn=release.workload.urn, cause="it does not exist",
        evidence=(f"not in namespace {namespace}",), fix=f"Deploy it: fastapi-platform up {stack}",
        objects=(release.workload.name,),
    )  # fmt: skip


def _around(subject: str, urn: str, live: Live, cause: str, evidence: tuple[str, ...], fix: str) -> Finding:
    return Finding(
        rank=Rank.AROUND, subject=subject, urn=urn, cause=cause, evidence=evidence, fix=fix, objects=(live.name,),
        traces=frozenset({live.uid}),
    )  # fmt: skip
