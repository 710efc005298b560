"""Pods that no node takes, or that never go.

Owns where pods are. Deliberately never a reason to end a deploy: a node that is being added takes them.
Source: https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from collections.abc import Iterator

from fastapi_platform_policy.record import Marker, at, items, text

from ..advice import Advice
from ..finding import Finding, Rank
from ..observed import Live, Observed, moment
from ..release import Release

PATIENT_SECONDS = 20
"""A scheduler that is asked while nodes come and go answers twice."""
STUCK_SECONDS = 60
"""After its grace a pod is gone at once, unless its node does not answer or something holds on to it."""


def pods(seen: Observed, advice: Advice, release: Release) -> Iterator[Finding]:
    """What is wrong with the place of a workload's pods."""
    for pod in release.pods:
        found = _unscheduled(seen, advice, release, pod) or _evicted(advice, release, pod)
        if found is not None:
            yield found
    for pod in (*release.pods, *(pod for batch in release.older for pod in batch.pods)):
        ends = moment(pod.at("metadata", "deletionTimestamp"))
        if pod.at("metadata", "deletionTimestamp") is not Marker.ABSENT and seen.age_seconds(ends) > STUCK_SECONDS:
            yield _found(
                release, pod, "pods do not go away", (f"should have been gone at {ends:%H:%M:%S} UTC",),
                f"Is its node there, and what holds it? kubectl --namespace {pod.at('metadata', 'namespace')} "
                f"get pod {pod.name} --output wide; then its metadata.finalizers",
                rank=Rank.AROUND,
            )


def _unscheduled(seen: Observed, advice: Advice, release: Release, pod: Live) -> Finding | None:
    scheduled = pod.condition("PodScheduled")
    if not pod.is_false("PodScheduled") or seen.age_seconds(pod.created) < PATIENT_SECONDS:
        return None
    words = text(at(scheduled, "message"))
    claims = [claim for claim in _claims(seen, pod) if text(claim.at("status", "phase")) == "Pending"]
    said = [f"PersistentVolumeClaim {claim.name}: {each.message}" for claim in claims
            for each in seen.events_of(claim)[-1:]]  # fmt: skip
    if claims and "PersistentVolumeClaim" in words:
        return _found(
            release, pod, f"PersistentVolumeClaim {claims[0].name} gets no volume", (words, *said),
            "Does the cluster have a default StorageClass that makes volumes? kubectl get storageclass",
        )
    return _found(
        release, pod, "no node takes the pod", (words, *said),
        f"Add nodes, or ask for less: {advice.change(release, 'resources', 'requests')}; the rules for nodes are in "
        f"{advice.change(release, 'placement', 'placement')}.",
    )


def _evicted(advice: Advice, release: Release, pod: Live) -> Finding | None:
    """A pod that its node has thrown out; a Deployment makes another one."""
    if text(pod.at("status", "reason")) != "Evicted" or any(each.is_true("Ready") for each in release.pods):
        return None
    words = text(pod.at("status", "message"))
    return _found(
        release, pod, "a node throws the pods out", (words,),
        f"The message names what ran short: {advice.change(release, 'resources', 'limits')}, or tmp_size beside it.",
    )


def _claims(seen: Observed, pod: Live) -> Iterator[Live]:
    for volume in items(pod.at("spec", "volumes")):
        claim = seen.named("PersistentVolumeClaim", text(at(volume, "persistentVolumeClaim", "claimName")))
        if claim is not None:
            yield claim


def _found(
    release: Release, pod: Live, cause: str, evidence: tuple[str, ...], fix: str, *, rank: Rank = Rank.NOT_RUNNING
) -> Finding:
    return Finding(
        rank=rank, subject=release.name, urn=release.workload.urn, cause=cause, evidence=evidence, fix=fix,
        objects=(pod.name,), traces=frozenset({pod.uid}),
    )  # fmt: skip
