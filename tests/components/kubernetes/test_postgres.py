"""The throwaway Postgres of a local stack."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_random as random
import pytest
from pulumi_kubernetes import core

from fastapi_platform import Environment, LocalPostgres, LocalPostgresArgs, PlatformError
from fastapi_platform.kubernetes import postgres
from fastapi_platform_policy.record import Marker, Record, at, items
from tests.conftest import Recorder, of_type

SERVER = "kubernetes:apps/v1:StatefulSet"


def valid_args(**overrides: Any) -> LocalPostgresArgs:
    arguments: dict[str, Any] = {"environment": Environment.LOCAL, "namespace": "orders", "service": "orders"}
    return LocalPostgresArgs(**arguments | overrides)


def server(record: Recorder, **overrides: Any) -> Record:
    return record.one(SERVER, LocalPostgres, valid_args(**overrides))


def dsn(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """The address with a password that is known, and whether it is a secret; a record keeps neither."""
    seen: list[tuple[str, bool]] = []
    stated: list[pulumi.Output[str]] = []
    make: Any = core.v1.Secret

    def secret(name: str, *, string_data: dict[str, pulumi.Output[str]], **others: Any) -> Any:
        stated.append(string_data[postgres.DIRECT_KEY])
        return make(name, string_data=string_data, **others)

    def password(_name: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(result=pulumi.Output.secret("generated"))

    async def program() -> None:
        LocalPostgres("it", valid_args())
        seen.append((await stated[0].future() or "", await stated[0].is_secret()))

    with monkeypatch.context() as patch:
        patch.setattr(core.v1, "Secret", secret)
        patch.setattr(random, "RandomPassword", password)
        record.recording(program)
    return seen[0]


# shape


def test_one_server_with_a_volume_and_a_generated_password(record: Recorder):
    found = record.all(LocalPostgres, valid_args())
    kinds = sorted(each.type.rpartition(":")[2] for each in found if each.custom)
    assert kinds == [
        "ConfigMap", "NetworkPolicy", "RandomPassword", "Secret", "Service", "ServiceAccount", "StatefulSet",
    ]
    assert of_type(found, ":StatefulSet")[0].at("spec", "replicas") == 1


# invariants


def test_the_password_stands_nowhere_but_in_the_secret(record: Recorder):
    found = record.all(LocalPostgres, valid_args())
    assert [each.type.rpartition(":")[2] for each in found if "stringData" in each.inputs] == ["Secret"]
    assert of_type(found, ":Secret")[0].inputs["stringData"] is Marker.SECRET


def test_the_address_leads_to_the_server_that_is_made(record: Recorder, monkeypatch: pytest.MonkeyPatch):
    """User and database are created by the image from its variables; others than these do not exist."""
    address, secret = dsn(record, monkeypatch)
    assert address == "postgresql://orders:generated@orders-database:5432/orders"
    assert secret
    parts, found = urlsplit(address), record.all(LocalPostgres, valid_args())
    variables = of_type(found, ":ConfigMap")[0].inputs["data"]
    assert (parts.username, parts.path) == (at(variables, "POSTGRES_USER"), f"/{at(variables, 'POSTGRES_DB')}")
    service = of_type(found, ":Service")[0]
    assert (parts.hostname, parts.port) == (service.at("metadata", "name"), service.at("spec", "ports", 0, "port"))


def test_the_service_leads_to_the_pod(record: Recorder):
    """Without a cluster address the name is the pod's own, so the port must be the container's."""
    found = record.all(LocalPostgres, valid_args())
    service, made = of_type(found, ":Service")[0], of_type(found, ":StatefulSet")[0]
    assert service.at("spec") == {
        "clusterIP": "None", "selector": made.at("spec", "selector", "matchLabels"),
        "ports": [{"name": "postgres", "port": 5432, "targetPort": "postgres"}],
    }
    assert made.at("spec", "serviceName") == service.at("metadata", "name")
    container = made.at("spec", "template", "spec", "containers", 0)
    assert at(container, "ports") == [{"name": "postgres", "containerPort": 5432}]


def test_the_server_starts_with_the_password_of_the_secret(record: Recorder):
    found = record.all(LocalPostgres, valid_args())
    variables = of_type(found, ":StatefulSet")[0].at("spec", "template", "spec", "containers", 0, "env")
    source = {"secretKeyRef": {"name": "orders-database", "key": "password"}}
    assert variables == [{"name": "POSTGRES_PASSWORD", "valueFrom": source}]
    assert of_type(found, ":Secret")[0].urn in of_type(found, ":StatefulSet")[0].dependencies


def test_the_data_is_on_the_volume(record: Recorder):
    """Below the mount: the root of a volume may hold lost+found, and initdb refuses a directory with content."""
    found = record.all(LocalPostgres, valid_args())
    variables = of_type(found, ":ConfigMap")[0].inputs["data"]
    assert at(variables, "PGDATA") == "/var/lib/postgresql/data/pgdata"
    made = of_type(found, ":StatefulSet")[0]
    mounts = items(made.at("spec", "template", "spec", "containers", 0, "volumeMounts"))
    assert {"name": "data", "mountPath": "/var/lib/postgresql/data"} in mounts
    assert made.at("spec", "volumeClaimTemplates", 0, "metadata", "name") == "data"
    assert made.at("spec", "volumeClaimTemplates", 0, "spec", "accessModes") == ["ReadWriteOnce"]


def test_the_pod_is_restricted_with_a_read_only_root(record: Recorder):
    pod = ("spec", "template", "spec")
    found = server(record)
    assert found.at(*pod, "securityContext", "runAsNonRoot") is True
    assert found.at(*pod, "securityContext", "runAsUser") == 999
    assert found.at(*pod, "containers", 0, "securityContext", "readOnlyRootFilesystem") is True
    mounts = items(found.at(*pod, "containers", 0, "volumeMounts"))
    assert {"name": "sockets", "mountPath": "/var/run/postgresql"} in mounts


def test_it_is_ready_when_it_accepts_connections_over_the_network(record: Recorder):
    """During its first start the image runs a server on the socket alone, which is not yet the real one."""
    command = server(record).at("spec", "template", "spec", "containers", 0, "readinessProbe", "exec", "command")
    assert command == ["pg_isready", "--host=127.0.0.1", "--username=orders"]


def test_a_first_start_has_two_minutes_to_fill_the_volume(record: Recorder):
    probe = server(record).at("spec", "template", "spec", "containers", 0, "startupProbe")
    assert (at(probe, "periodSeconds"), at(probe, "failureThreshold")) == (2, 60)
    assert at(probe, "exec", "command", 0) == "pg_isready"


def test_a_stopping_server_gets_a_minute_to_write_its_checkpoint(record: Recorder):
    assert server(record).at("spec", "template", "spec", "terminationGracePeriodSeconds") == 60


def test_passwords_are_long_hashed_and_fit_into_an_address(record: Recorder):
    """A '/' or '@' in the password would end the address there."""
    found = record.all(LocalPostgres, valid_args())
    password = of_type(found, ":RandomPassword")[0]
    assert (password.inputs["length"], password.inputs["special"]) == (32, False)
    options = of_type(found, ":ConfigMap")[0].at("data", "POSTGRES_INITDB_ARGS")
    assert options == "--auth-host=scram-sha-256 --data-checksums"


def test_a_busy_database_is_not_restarted(record: Recorder):
    probe = server(record).at("spec", "template", "spec", "containers", 0, "livenessProbe")
    assert at(probe, "tcpSocket", "port") == "postgres"
    assert at(probe, "exec") is Marker.ABSENT


def test_only_pods_of_the_namespace_reach_it_and_it_reaches_nothing(record: Recorder):
    policy = record.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", LocalPostgres, valid_args())
    assert policy.at("spec", "ingress", 0, "from") == [{"podSelector": {}}]
    assert len(items(policy.at("spec", "egress"))) == 1


def test_those_who_connect_can_know_its_secret_and_its_labels_beforehand(record: Recorder):
    found = record.all(LocalPostgres, valid_args())
    assert of_type(found, ":Secret")[0].at("metadata", "name") == postgres.secret_name("orders")
    labels = of_type(found, ":StatefulSet")[0].at("spec", "selector", "matchLabels")
    assert labels == postgres.selector("orders")


# knobs


def test_size_and_connections_are_settings(record: Recorder):
    found = server(record, storage="2Gi", max_connections=50, user_id=70)
    assert found.at("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage") == "2Gi"
    assert "max_connections=50" in items(found.at("spec", "template", "spec", "containers", 0, "command"))
    assert found.at("spec", "template", "spec", "securityContext", "fsGroup") == 70


# rejections


@pytest.mark.parametrize("environment", [Environment.DEVELOPMENT, Environment.PRODUCTION])
def test_a_stack_that_holds_data_is_refused(environment: Environment):
    """Nobody notices that a database has no backup until it is gone."""
    image = "postgres@sha256:" + "a" * 64
    with pytest.raises(PlatformError, match=r"LocalPostgresArgs\.environment: got .*, want local"):
        valid_args(environment=environment, image=image)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [({"storage": "big"}, "storage"), ({"max_connections": 9}, "max_connections"), ({"user_id": 0}, "user_id"),
     ({"image": "postgres"}, "image"), ({"service": "A"}, "service")],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"LocalPostgresArgs\.{field}: got "):
        valid_args(**overrides)


# outputs


def test_the_secret_is_released_when_the_server_accepts_connections(record: Recorder):
    outputs = record.outputs(LocalPostgres, valid_args())
    assert outputs["secret_name"].value == "orders-database"
    assert outputs["secret_name"].depends_on(SERVER)
    assert outputs["host"].value == "orders-database"
