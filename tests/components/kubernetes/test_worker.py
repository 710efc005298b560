"""The background worker."""

from typing import Any

import pytest

from fastapi_platform import Autoscaling, BackgroundWorker, BackgroundWorkerArgs, Environment, PlatformError, SecretKey
from fastapi_platform_policy.record import Marker, Record
from tests.conftest import IMAGE, Recorder, of_type

DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def valid_args(**overrides: Any) -> BackgroundWorkerArgs:
    arguments: dict[str, Any] = {
        "command": ("arq", "app.worker"),
        "image": IMAGE,
        "namespace": "orders",
        "service": "orders",
        "worker": "emails",
    }
    return BackgroundWorkerArgs(**arguments | overrides)


def deployment(record: Recorder, **overrides: Any) -> Record:
    return record.one(DEPLOYMENT, BackgroundWorker, valid_args(**overrides))


# shape


def test_a_worker_has_no_service_and_no_autoscaler_of_its_own(record: Recorder):
    kinds = sorted(each.type.rpartition(":")[2] for each in record.all(BackgroundWorker, valid_args()) if each.custom)
    assert kinds == ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"]


def test_its_objects_are_named_after_service_and_worker(record: Recorder):
    assert deployment(record).at("metadata", "name") == "orders-worker-emails"


# invariants


def test_nobody_may_open_a_connection_to_it(record: Recorder):
    policy = record.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", BackgroundWorker, valid_args())
    assert policy.at("spec", "policyTypes") == ["Ingress", "Egress"]
    assert policy.at("spec", "ingress") is Marker.ABSENT


def test_its_selector_is_not_the_apis(record: Recorder):
    """A worker's pod behind the Service would answer requests with refused connections."""
    selector = deployment(record).at("spec", "selector", "matchLabels")
    assert selector == {
        "app.kubernetes.io/name": "orders", "app.kubernetes.io/instance": "orders-worker-emails",
        "app.kubernetes.io/component": "worker-emails",
    }


def test_a_task_in_progress_gets_its_time_before_the_kill(record: Recorder):
    found = deployment(record, stop_timeout_seconds=100)
    assert found.at("spec", "template", "spec", "terminationGracePeriodSeconds") == 105


def test_the_pod_is_restricted(record: Recorder):
    found = deployment(record)
    assert found.at("spec", "template", "spec", "securityContext", "runAsNonRoot") is True
    assert found.at("spec", "template", "spec", "automountServiceAccountToken") is False


# knobs


def test_the_count_is_fixed_unless_an_autoscaler_owns_it(record: Recorder):
    assert deployment(record, replicas=3).at("spec", "replicas") == 3
    found = record.all(BackgroundWorker, valid_args(autoscaling=Autoscaling()))
    assert of_type(found, ":Deployment")[0].at("spec", "replicas") is Marker.ABSENT
    assert len(of_type(found, ":HorizontalPodAutoscaler")) == 1


def test_a_heartbeat_restarts_a_stuck_worker(record: Recorder):
    probe = ("spec", "template", "spec", "containers", 0, "livenessProbe")
    assert deployment(record).at(*probe) is Marker.ABSENT
    assert deployment(record, heartbeat_command=("python", "-m", "app.heartbeat")).at(*probe) == {
        "exec": {"command": ["python", "-m", "app.heartbeat"]},
        "periodSeconds": 30, "failureThreshold": 3, "timeoutSeconds": 10,
    }


# rejections


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"command": ()}, "command"),
        ({"worker": "E-mails"}, "worker"),
        ({"worker": "w" * 19}, "worker"),
        ({"replicas": 1}, "replicas"),
        ({"autoscaling": Autoscaling(min_replicas=1)}, r"autoscaling\.min_replicas"),
        ({"stop_timeout_seconds": 0}, "stop_timeout_seconds"),
        ({"image": "orders:1"}, "image"),
        ({"tmp_size": "x"}, "tmp_size"),
        ({"env": {"A": "1"}, "secrets": {"A": SecretKey("s", "k")}}, "env"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"BackgroundWorkerArgs\.{field}: got "):
        valid_args(**overrides)


def test_one_worker_is_enough_outside_production():
    assert valid_args(replicas=1, environment=Environment.DEVELOPMENT).replicas == 1


# outputs


def test_the_identity_is_known_for_bindings(record: Recorder):
    assert record.outputs(BackgroundWorker, valid_args())["service_account"].value == "orders-worker-emails"


@pytest.mark.parametrize("field", ["command", "heartbeat_command"])
@pytest.mark.parametrize("words", [("postgresql://u:hunter2@h/db",), ("--api-key=hunter2",), ("--token", "hunter2")])
def test_a_credential_in_a_command_is_refused_and_not_repeated(field: str, words: tuple[str, ...]):
    """Everybody who may read the namespace reads commands, and so does `ps` on the node."""
    with pytest.raises(PlatformError, match=rf"{field}: got a credential in clear") as refused:
        valid_args(**{field: ("run", *words)})
    assert "hunter2" not in str(refused.value)
