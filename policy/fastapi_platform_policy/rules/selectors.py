"""Selectors pick what their author meant, and go on doing so after a release.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from collections.abc import Iterator

from fastapi_platform.planning.labels import VERSION

from ..program import Program
from ..record import Marker
from ..rule import Answer, Rule, Severity, Thresholds, compliant, unknown, verdict_of, violated
from ..selection import Selection, selected_keys
from ..traffic import opens_anywhere, opens_ingress
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
    """A policy may hold for many pods: what it denies harms none of them, nor does a way to named addresses.

    What harms is a door of a serving workload in pods that end by themselves: nobody calls a migration, and it holds
    more rights than the service. A door is any ingress, be it from one named peer, and egress to anywhere but name
    servers.
    """
    urn, workloads = selection.record.urn, selection.workloads
    once = [full_name(workload.record) for workload in workloads if workload.runs_once]
    if once and len(workloads) > len(once):
        doors = {"ingress": opens_ingress(selection.record), "egress to anywhere": opens_anywhere(selection.record)}
        wrong = [f"it opens {door} to the pods of {', '.join(once)} too" for door, opened in doors.items() if opened]
        unsure = [f"whether it opens {door} is not known yet" for door, opened in doors.items() if opened is None]
        if wrong or unsure:
            return verdict_of(urn, wrong, unsure)
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
        fix="Give every workload a label of its own (app.kubernetes.io/component) and select by it; a NetworkPolicy "
        "may pick many, unless it opens ingress, or egress to anywhere but DNS, to pods that end by themselves too.",
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
