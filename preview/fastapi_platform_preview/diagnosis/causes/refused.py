"""Pods that the API server refuses to make: quotas, limit ranges, Pod Security, admission webhooks.

Owns the words of the API server. Deliberately takes an old refusal for none: its events stay for an hour, and pods come
and go.
Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from collections.abc import Iterator

from fastapi_platform_policy.record import at, text

from ..advice import Advice
from ..finding import Finding, Rank
from ..observed import Event, Live, Observed
from ..release import Release

RECENT_SECONDS = 900
"""What makes pods tries again at the latest after so long."""


def pods(seen: Observed, advice: Advice, release: Release) -> Iterator[Finding]:
    """The refusal of a workload's newest pods, as long as some are missing."""
    maker = release.newest.maker if release.newest else None
    if maker is None or not _lacks_pods(maker):
        return
    events = _refusals(seen, maker)
    says = text(at(maker.condition("ReplicaFailure"), "message")) if maker.is_true("ReplicaFailure") else ""
    words = events[-1].message if events else says
    if not words:
        return
    cause, fix = _reason(words, advice, release)
    yield Finding(
        rank=Rank.MIGRATION if maker.kind == "Job" else Rank.REFUSED, subject=release.name, urn=release.workload.urn,
        cause=cause, evidence=(words.rpartition(" is forbidden: ")[2],), fix=fix, objects=(maker.name,),
        traces=frozenset({f"{maker.uid} {sum(each.count for each in events)}"}), patience_seconds=10,
    )  # fmt: skip


def _refusals(seen: Observed, maker: Live) -> list[Event]:
    """Those that still hold; a ReplicaSet says so itself."""
    events = seen.events_of(maker, "FailedCreate")
    if maker.kind == "ReplicaSet":
        return [*events] if maker.is_true("ReplicaFailure") else []
    return [each for each in events if seen.age_seconds(each.last) < RECENT_SECONDS]


def _lacks_pods(maker: Live) -> bool:
    if maker.kind == "Job":
        return not any(maker.number("status", state) for state in ("active", "succeeded", "failed"))
    return maker.number("status", "replicas") < maker.number("spec", "replicas")


def _reason(words: str, advice: Advice, release: Release) -> tuple[str, str]:
    resources = advice.change(release, "resources", "requests and limits")
    namespace = text(release.workload.record.at("metadata", "namespace")) or "<namespace>"
    if "exceeded quota" in words:
        return "out of quota: no more pods may be made", (
            f"Ask for less ({resources}), or have the quota raised: kubectl --namespace {namespace} describe quota"
        )
    if "violates PodSecurity" in words:
        return "the namespace's Pod Security refuses the pods", "Change the pods as the message says."
    if "LimitRange" in words or " usage per " in words or "ratio per " in words:
        return "the namespace's LimitRange refuses the pods", (
            f"Keep to it: {resources}; kubectl --namespace {namespace} describe limitrange"
        )
    if "admission webhook" in words or "ValidatingAdmissionPolicy" in words:
        return "a rule of the cluster refuses the pods", "Change them as the message says, or ask who owns the rule."
    fix = f"kubectl --namespace {namespace} get events --field-selector reason=FailedCreate"
    return "the cluster refuses to make pods", fix
