"""What a real cluster said about the `local` stack while something was wrong with it, and variations of that.

Recorded with `kubectl get … --output json` from Kubernetes 1.36, reduced to what matters, without addresses and ids.
"""

import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from fastapi_platform_policy.program import Program
from fastapi_platform_preview.diagnosis.advice import Advice
from fastapi_platform_preview.diagnosis.examine import Diagnosis, examine
from fastapi_platform_preview.diagnosis.finding import Finding
from fastapi_platform_preview.diagnosis.observed import Observed, moment
from fastapi_platform_preview.diagnosis.screen import screen

DATABASE = {
    "kind": "StatefulSet", "metadata": {"name": "orders-database", "namespace": "orders", "uid": "database"},
    "spec": {"replicas": 1}, "status": {"replicas": 1, "readyReplicas": 1},
}  # fmt: skip
"""In every recording, and well."""
RECORDED = Path(__file__).parent / "recorded"
SECTIONS = frozenset({"service", "migrations", "database", "workers", "schedules"})
Items = list[dict[str, Any]]
Edit = Callable[[Items], object]


def items(name: str) -> Items:
    return [*json.loads((RECORDED / f"{name}.json").read_text())["items"], copy.deepcopy(DATABASE)]


def seen(name: str, *edits: Edit, later_seconds: float = 0) -> Observed:
    """A recording as it was, or changed; at its last event, or later."""
    found = items(name)
    for edit in edits:
        edit(found)
    return Observed(found, now(name) + timedelta(seconds=later_seconds))


def now(name: str) -> datetime:
    return max(moment(each.get("lastTimestamp") or each["metadata"].get("creationTimestamp")) for each in items(name))


def diagnosed(
    program: Program, name: str, *edits: Edit, later_seconds: float = 0, sections: frozenset[str] = SECTIONS
) -> Diagnosis:
    observed = seen(name, *edits, later_seconds=later_seconds)
    return examine(program, observed, Advice("local", "Pulumi.local.yaml", sections), "orders")


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


def printed(diagnosis: Diagnosis, width: int = 80) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(screen("local", diagnosis))
    return captured.get()


def one(found: Items, kind: str, name: str = "") -> dict[str, Any]:
    return next(each for each in found if each["kind"] == kind and name in each.get("metadata", {}).get("name", ""))


def broken_pod(found: Items) -> dict[str, Any]:
    """The pod of the newest release."""
    owner = newest(found)["metadata"]["uid"]
    return next(
        each for each in found if each["kind"] == "Pod" and each["metadata"]["ownerReferences"][0]["uid"] == owner
    )


def newest(found: Items) -> dict[str, Any]:
    made = [each for each in found if each["kind"] == "ReplicaSet"]
    return max(made, key=lambda each: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))


def container(**status: Any) -> Edit:
    """The container of the newest pod in another state."""
    return lambda found: broken_pod(found)["status"]["containerStatuses"][0].update(status)


def waiting(reason: str, message: str) -> Edit:
    return container(state={"waiting": {"reason": reason, "message": message}}, lastState={}, restartCount=0)


def event(about: Callable[[Items], dict[str, Any]], reason: str, message: str, *, count: int = 1) -> Edit:
    """One more event, at the time of the last one."""

    def add(found: Items) -> None:
        last = max(each["lastTimestamp"] for each in found if each["kind"] == "Event")
        target = about(found)
        found.append(
            {
                "kind": "Event", "type": "Warning", "reason": reason, "message": message, "count": count,
                "firstTimestamp": last, "lastTimestamp": last,
                "involvedObject": {"name": target["metadata"]["name"], "uid": target["metadata"]["uid"]},
            }
        )  # fmt: skip

    return add


def without_events(found: Items) -> None:
    """Kubernetes keeps events for an hour."""
    found[:] = [each for each in found if each["kind"] != "Event"]
