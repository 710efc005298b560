"""The pod that every workload runs in."""

from typing import Any

import pulumi
import pytest

from fastapi_platform import (
    BackgroundWorker,
    BackgroundWorkerArgs,
    FastApiService,
    FastApiServiceArgs,
    MigrationJob,
    MigrationJobArgs,
    Placement,
    ScheduledJob,
    ScheduledJobArgs,
    SecretKey,
    Toleration,
)
from fastapi_platform_policy.record import at
from tests.conftest import IMAGE, Recorder, of_type

SHARED: dict[str, Any] = {"image": IMAGE, "namespace": "orders", "service": "orders"}
TEMPLATE = ("spec", "template", "spec")
WORKLOADS: list[tuple[type[pulumi.ComponentResource], type[Any], dict[str, Any], str, tuple[str, ...]]] = [
    (FastApiService, FastApiServiceArgs, {}, ":Deployment", TEMPLATE),
    (BackgroundWorker, BackgroundWorkerArgs, {"command": ("w",), "worker": "emails"}, ":Deployment", TEMPLATE),
    (MigrationJob, MigrationJobArgs, {"direct_database": SecretKey("db", "direct")}, ":Job", TEMPLATE),
    (ScheduledJob, ScheduledJobArgs, {"command": ("c",), "job": "cleanup", "schedule": "@daily"}, ":CronJob",
     ("spec", "jobTemplate", *TEMPLATE)),
]


@pytest.mark.parametrize(
    ("component", "arguments", "own", "kind", "path"), WORKLOADS, ids=[each[0].__name__ for each in WORKLOADS]
)
def test_every_workload_can_be_placed(
    record: Recorder, component: type[Any], arguments: type[Any], own: dict[str, Any], kind: str, path: tuple[str, ...]
):
    """A private registry, a node pool of its own: without them the pod never starts, or starts elsewhere."""
    placement = Placement(
        image_pull_secrets=("registry",),
        node_selector={"pool": "orders"},
        priority_class="high",
        tolerations=(Toleration(key="pool", value="orders", effect="NoSchedule"), Toleration(key="spot")),
    )
    pod = of_type(record.all(component, arguments(**SHARED, **own, placement=placement)), kind)[0].at(*path)
    assert at(pod, "imagePullSecrets") == [{"name": "registry"}]
    assert at(pod, "nodeSelector") == {"pool": "orders"}
    assert at(pod, "priorityClassName") == "high"
    assert at(pod, "tolerations") == [
        {"key": "pool", "operator": "Equal", "value": "orders", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
