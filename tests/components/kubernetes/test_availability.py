"""What keeps pods available, of everything that runs all the time: the service and the worker."""

from typing import Any

import pytest

from fastapi_platform import (
    Autoscaling,
    BackgroundWorker,
    BackgroundWorkerArgs,
    FastApiService,
    FastApiServiceArgs,
    Rollout,
)
from fastapi_platform_policy.record import Record, Value
from tests.conftest import IMAGE, Recorder

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
COMMON: dict[str, Any] = {"image": IMAGE, "namespace": "orders", "service": "orders"}


@pytest.fixture(params=["service", "worker"])
def running(request: pytest.FixtureRequest) -> str:
    return request.param


def one(record: Recorder, type_token: str, running: str, **overrides: Any) -> Record:
    if running == "service":
        return record.one(type_token, FastApiService, FastApiServiceArgs(**COMMON | overrides))
    own: dict[str, Any] = {"command": ("arq", "app.worker"), "worker": "emails"}
    return record.one(type_token, BackgroundWorker, BackgroundWorkerArgs(**COMMON | own | overrides))


def selector(record: Recorder, running: str) -> Value:
    return one(record, DEPLOYMENT, running).at("spec", "selector")


def test_no_old_pod_goes_before_a_new_one_is_ready(record: Recorder, running: str):
    strategy = one(record, DEPLOYMENT, running).at("spec", "strategy")
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


def test_a_new_pod_counts_once_it_has_stayed_ready(record: Recorder, running: str):
    """Without it a pod that crashes seconds after its first answer lets the rollout take the next old one."""
    assert one(record, DEPLOYMENT, running).at("spec", "minReadySeconds") == 5
    changed = Rollout(min_ready_seconds=20)
    assert one(record, DEPLOYMENT, running, rollout=changed).at("spec", "minReadySeconds") == 20


def test_old_releases_stay_for_a_rollback(record: Recorder, running: str):
    assert one(record, DEPLOYMENT, running).at("spec", "revisionHistoryLimit") == 5
    changed = Rollout(revision_history_limit=2)
    assert one(record, DEPLOYMENT, running, rollout=changed).at("spec", "revisionHistoryLimit") == 2


def test_pulumi_outlives_the_rollouts_own_deadline(record: Recorder, running: str):
    found = one(record, DEPLOYMENT, running, rollout=Rollout(progress_deadline_seconds=200))
    assert found.at("spec", "progressDeadlineSeconds") == 200
    assert found.options.create_timeout_seconds == 260
    assert found.options.update_timeout_seconds == 260


def test_pods_spread_over_zones_and_hosts_of_their_own_release(record: Recorder, running: str):
    """Without matchLabelKeys the old release's pods count during a rollout, and the new ones end up lopsided."""
    spread = one(record, DEPLOYMENT, running).at("spec", "template", "spec", "topologySpreadConstraints")
    assert spread == [
        {
            "maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": selector(record, running), "matchLabelKeys": ["pod-template-hash"],
        }
        for topology in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def test_one_pod_may_be_evicted_and_a_broken_one_always(record: Recorder, running: str):
    assert one(record, BUDGET, running).inputs["spec"] == {
        "maxUnavailable": 1, "selector": selector(record, running), "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def test_the_autoscaler_owns_the_deployment_between_its_bounds(record: Recorder, running: str):
    bounds = Autoscaling(min_replicas=3, max_replicas=7, target_cpu_percent=40)
    scaler = one(record, SCALER, running, autoscaling=bounds)
    name = one(record, DEPLOYMENT, running).at("metadata", "name")
    assert scaler.at("spec", "scaleTargetRef") == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert (scaler.at("spec", "minReplicas"), scaler.at("spec", "maxReplicas")) == (3, 7)
    target = {"type": "Utilization", "averageUtilization": 40}
    assert scaler.at("spec", "metrics") == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_scaling_is_quick_up_and_slow_down(record: Recorder, running: str):
    """Doubling every 15 seconds meets a burst; taking a quarter a minute away outlives the pause between two."""
    scaler = one(record, SCALER, running, autoscaling=Autoscaling(scale_down_window_seconds=120))
    assert scaler.at("spec", "behavior") == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 120, "selectPolicy": "Min",
            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
        },
    }
