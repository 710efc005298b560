"""The FastAPI service. Why each invariant exists is in the docstring of its test."""

import json
from typing import Any

import pytest

from fastapi_platform import (
    Autoscaling,
    Environment,
    FastApiService,
    FastApiServiceArgs,
    LoadBalancer,
    PlatformError,
    ProcessModel,
    Resources,
    Rollout,
    SecretKey,
    Server,
)
from fastapi_platform_policy.record import Marker, Record, at, mapping
from tests.conftest import IMAGE, Recorder, of_type

DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def valid_args(**overrides: Any) -> FastApiServiceArgs:
    arguments: dict[str, Any] = {"image": IMAGE, "namespace": "orders", "service": "orders"}
    return FastApiServiceArgs(**arguments | overrides)


def deployment(record: Recorder, **overrides: Any) -> Record:
    return record.one(DEPLOYMENT, FastApiService, valid_args(**overrides))


def pod(found: Record) -> Any:
    return found.at("spec", "template", "spec")


def container(found: Record) -> Any:
    return pod(found)["containers"][0]


# shape


def test_seven_objects_under_the_component(record: Recorder):
    found = record.all(FastApiService, valid_args())
    kinds = sorted(each.type.rpartition(":")[2] for each in found if each.custom)
    assert kinds == [
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service",
        "ServiceAccount",
    ]
    assert {each.parent for each in found if each.custom} == {
        "urn:pulumi:test::tests::fastapi-platform:index:FastApiService::it"
    }


def test_every_object_has_the_recommended_labels(record: Recorder):
    for found in record.all(FastApiService, valid_args()):
        if found.custom:
            labels = found.at("metadata", "labels")
            assert at(labels, "app.kubernetes.io/part-of") == "orders"
            assert at(labels, "app.kubernetes.io/managed-by") == "pulumi"
            assert at(labels, "app.kubernetes.io/component") == "api"


# invariants


def test_the_deployment_states_no_replicas(record: Recorder):
    """A second owner of the number resets it at every deploy while the autoscaler has scaled out."""
    assert deployment(record).at("spec", "replicas") is Marker.ABSENT


@pytest.mark.parametrize(
    ("probe", "path", "period", "failures"),
    [
        ("startupProbe", "/healthz/live", 2, 30),
        ("readinessProbe", "/healthz/ready", 5, 3),
        ("livenessProbe", "/healthz/live", 10, 3),
    ],
)
def test_each_probe_asks_on_its_own_terms(record: Recorder, probe: str, path: str, period: int, failures: int):
    """One path for liveness and readiness restarts every pod whenever the database is slow."""
    assert container(deployment(record))[probe] == {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 2,
    }


def test_the_pause_needs_no_shell_in_the_image(record: Recorder):
    assert container(deployment(record))["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_the_grace_is_the_sum_of_the_drain_budget(record: Recorder):
    """preStop 20 + lame duck 5 + graceful 30 + margin 5 behind a load balancer; too little kills requests."""
    behind = LoadBalancer(networks=("35.191.0.0/16",))
    found = deployment(record, load_balancer=behind, process=ProcessModel(server=Server.RUNTIME))
    assert pod(found)["terminationGracePeriodSeconds"] == 60
    assert container(found)["lifecycle"]["preStop"]["sleep"]["seconds"] == 20


def test_the_promise_to_callers_stands_on_the_deployment(record: Recorder):
    """Whoever checks the pod must know what callers were promised; the pod alone does not say."""
    annotation = deployment(record).at("metadata", "annotations", "fastapi-platform/drain-promise")
    assert isinstance(annotation, str)
    assert json.loads(annotation)["request_timeout_seconds"] == 30


def test_the_only_writable_path_is_a_sized_tmp(record: Recorder):
    found = deployment(record, tmp_size="32Mi")
    assert pod(found)["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "32Mi"}}]
    assert container(found)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_no_token_reaches_the_pod(record: Recorder):
    """A stolen token opens the cluster's API; the service needs none."""
    found = record.all(FastApiService, valid_args())
    assert pod(of_type(found, ":Deployment")[0])["automountServiceAccountToken"] is False
    assert of_type(found, ":ServiceAccount")[0].inputs["automountServiceAccountToken"] is False
    assert pod(of_type(found, ":Deployment")[0])["serviceAccountName"] == "orders"


def test_memory_request_is_its_limit_and_disk_is_bounded(record: Recorder):
    resources = container(deployment(record))["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert resources["requests"]["ephemeral-storage"] == resources["limits"]["ephemeral-storage"]
    assert "cpu" not in resources["limits"]


def test_the_service_selects_the_pods_and_no_version(record: Recorder):
    found = record.all(FastApiService, valid_args())
    selector = of_type(found, ":Service")[0].at("spec", "selector")
    assert selector == of_type(found, ":Deployment")[0].at("spec", "selector", "matchLabels")
    assert not any("version" in key for key in mapping(selector))


def test_the_service_leads_to_the_servers_port_and_stays_in_the_cluster(record: Recorder):
    """By name: a release with another port would otherwise get traffic on the port of the one before."""
    found = record.all(FastApiService, valid_args(port=9000, metrics_port=9090))
    spec = of_type(found, ":Service")[0].at("spec")
    assert at(spec, "type") == "ClusterIP"
    assert at(spec, "ports") == [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]
    assert container(of_type(found, ":Deployment")[0])["ports"] == [
        {"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 9090},
    ]


def test_the_app_is_told_the_port_that_its_scrapers_ask(record: Recorder):
    config = record.one("kubernetes:core/v1:ConfigMap", FastApiService, valid_args(metrics_port=9090))
    assert config.at("data", "METRICS_PORT") == "9090"


def test_settings_are_immutable_and_named_by_their_content(record: Recorder):
    """An old pod that restarts during a failed deploy must find the settings it was made with."""
    config = record.one("kubernetes:core/v1:ConfigMap", FastApiService, valid_args(env={"LOG_LEVEL": "debug"}))
    assert config.inputs["immutable"] is True
    assert config.at("data", "LOG_LEVEL") == "debug"
    other = record.one("kubernetes:core/v1:ConfigMap", FastApiService, valid_args(env={"LOG_LEVEL": "info"}))
    assert config.at("metadata", "name") != other.at("metadata", "name")


def test_other_settings_are_another_resource_and_no_replacement(record: Recorder):
    """The old half of a replacement waits to be deleted and is in the way of a rollback: "already exists"."""
    settings = [{"LOG_LEVEL": "DEBUG"}, {"LOG_LEVEL": "INFO"}, {"LOG_LEVEL": "DEBUG"}]
    first, second, third = (record.one("kubernetes:core/v1:ConfigMap", FastApiService, valid_args(env=env)).urn
                            for env in settings)
    assert first == third != second


# knobs


def differences(record: Recorder, **overrides: Any) -> set[str]:
    """Kinds of the objects that a changed argument changes."""
    before = {each.urn: each for each in record.all(FastApiService, valid_args())}
    after = {each.urn: each for each in record.all(FastApiService, valid_args(**overrides))}
    assert len(before) == len(after)
    return {each.type.rpartition(":")[2] for urn, each in after.items() if each != before.get(urn)}


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ({"image": IMAGE[:-1] + "b"}, {"Deployment", "FastApiService"}),
        ({"env": {"LOG_LEVEL": "debug"}}, {"ConfigMap", "Deployment"}),
        ({"secrets": {"API_KEY": SecretKey("keys", "api")}}, {"Deployment"}),
        ({"autoscaling": Autoscaling(max_replicas=5)}, {"HorizontalPodAutoscaler"}),
        ({"resources": Resources(memory="512Mi")}, {"Deployment"}),
        ({"port": 9000}, {"Deployment"}),
        ({"request_timeout_seconds": 20}, {"Deployment"}),
        ({"load_balancer": LoadBalancer(networks=("35.191.0.0/16",))}, {"Deployment", "NetworkPolicy"}),
        ({"process": ProcessModel(workers=2)}, {"Deployment"}),
        ({"rollout": Rollout(surge_percent=50)}, {"Deployment"}),
    ],
)
def test_one_argument_changes_only_what_it_is_about(record: Recorder, overrides: dict[str, Any], changed: set[str]):
    assert differences(record, **overrides) == changed


def test_the_process_model_is_the_containers_command(record: Recorder):
    words = container(deployment(record, process=ProcessModel(server=Server.UVICORN, graceful_timeout_seconds=31)))
    assert words["command"][words["command"].index("--timeout-graceful-shutdown") + 1] == "31"
    assert "command" not in container(deployment(record, process=ProcessModel(server=Server.IMAGE)))


# rejections


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"image": "orders:1.2"}, "image"),
        ({"image": "orders:latest", "environment": Environment.LOCAL}, "image"),
        ({"service": "o" * 31}, "service"),
        ({"service": "Orders"}, "service"),
        ({"autoscaling": Autoscaling(min_replicas=1)}, r"autoscaling\.min_replicas"),
        ({"metrics_port": 8000}, "port"),
        ({"port": 80}, "port"),
        ({"tmp_size": "much"}, "tmp_size"),
        ({"env": {"DB_PASSWORD": "x"}}, "env"),
        ({"env": {"NOTE": "postgresql://me:x@db/orders"}}, "env"),
        ({"env": {"METRICS_PORT": "9091"}, "metrics_port": 9090}, "env"),
        ({"env": {"A": "1"}, "secrets": {"A": SecretKey("s", "k")}}, "env"),
        ({"request_timeout_seconds": 31}, "request_timeout_seconds"),
        ({"load_balancer": LoadBalancer(timeout_seconds=29)}, "request_timeout_seconds"),
        ({"load_balancer": LoadBalancer(idle_seconds=620)}, r"process\.keep_alive_seconds"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"FastApiServiceArgs\.{field}: got "):
        valid_args(**overrides)


def test_a_refused_credential_is_not_repeated():
    with pytest.raises(PlatformError) as refused:
        valid_args(env={"DB_PASSWORD": "hunter2"})
    assert "hunter2" not in str(refused.value)


# outputs


def test_the_address_is_known_before_and_released_after_the_rollout(record: Recorder):
    outputs = record.outputs(FastApiService, valid_args())
    assert outputs["address"].value == "http://orders.orders.svc:80"
    assert outputs["address"].depends_on(DEPLOYMENT)
    assert outputs["service_account"].value == "orders"
