"""Selectors pick what their author meant, and go on doing so after a release.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from collections.abc import Iterator

from fastapi_platform.planning.labels import VERSION

from ..program import Program
from ..record import Marker, items
from ..rule import Answer, Rule, Severity, Thresholds, compliant, unknown, verdict_of, violated
from ..selection import Selection, selected_keys
from ..workloads import full_name

URL = "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors"

UNSURE = "the labels that decide are known only after the deployment"


def _one_workload(program: Program, _: Thresholds) -> Iterator[Answer]:
    return (_meant(selection) for selection in program.selections)


def _meant(selection: Selection) -> Answer:
    urn, picked = selection.record.urn, [full_name(workload.record) for workload in selection.workloads]
    if selection.role == "NetworkPolicy":
        return _policy(selection)
    once = [full_name(workload.record) for workload in selection.workloads if workload.runs_once]
    if once:
        return violated(urn, f"its selector also picks the pods of {', '.join(once)}, which end by themselves")
    if len(picked) > 1:
        return violated(urn, f"its selector picks the pods of {len(picked)} workloads: {', '.join(picked)}")
    if selection.unsure:
        return unknown(urn, UNSURE)
    if not picked:
        return violated(urn, "its selector picks no pod of this program")
    return compliant(urn)


def _policy(selection: Selection) -> Answer:
    """A policy may hold for many pods; one that allows something must not reach run-once pods beside others."""
    urn, workloads = selection.record.urn, selection.workloads
    once = [full_name(workload.record) for workload in workloads if workload.runs_once]
    allows = bool(items(selection.record.at("spec", "ingress")) or items(selection.record.at("spec", "egress")))
    if allows and once and len(workloads) > len(once):
        return violated(urn, f"it allows traffic of a serving workload to the pods of {', '.join(once)} too")
    if not workloads and not selection.unsure and not selection.everything:
        return violated(urn, "its podSelector picks no pod of this program")
    return unknown(urn, UNSURE) if selection.unsure else compliant(urn)


def _without_version(program: Program, _: Thresholds) -> Iterator[Answer]:
    for selection in program.selections:
        if selection.selector is Marker.UNKNOWN:
            yield unknown(selection.record.urn, "its selector is known only after the deployment")
            continue
        named = [key for key in selected_keys(selection.selector) if key in (VERSION, "version")]
        wrong = [f"its selector names {key}, which changes with every release" for key in named]
        yield verdict_of(selection.record.urn, wrong)


RULES = (
    Rule(
        name="selectors-pick-one-workload",
        check=_one_workload,
        controls=("pdb-present", "hpa-configured"),
        fix="Give every workload a label of its own (app.kubernetes.io/component) and select by it.",
        severity=Severity.HIGH,
        url=URL,
        why="Pods of a migration or of another workload get live requests, or count where they do not belong.",
    ),
    Rule(
        name="selectors-without-version",
        check=_without_version,
        controls=("rollout-strategy",),
        fix="Select by name, instance and component; keep version a label that only describes.",
        severity=Severity.HIGH,
        url=URL,
        why="A selector is immutable: the next release is refused, or loses sight of the pods that still serve.",
    ),
)
