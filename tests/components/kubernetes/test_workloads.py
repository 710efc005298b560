"""What every workload has, whatever runs in it: each test asks all components that make pods."""

from typing import Any, TypeAlias

import pulumi
import pytest

from fastapi_platform import (
    BackgroundWorker,
    BackgroundWorkerArgs,
    Environment,
    FastApiService,
    FastApiServiceArgs,
    Flow,
    LocalPostgres,
    LocalPostgresArgs,
    MigrationJob,
    MigrationJobArgs,
    Peer,
    Placement,
    PlatformError,
    Resources,
    RestrictedNamespace,
    RestrictedNamespaceArgs,
    ScheduledJob,
    ScheduledJobArgs,
    SecretKey,
    Toleration,
)
from fastapi_platform_policy.record import Record, Value, at, mapping
from tests.conftest import IMAGE, Recorder, of_type

KINDS = ("Deployment", "Job", "CronJob", "StatefulSet")
RELEASE: dict[str, Any] = {"image": IMAGE, "namespace": "orders", "service": "orders"}
Makeable: TypeAlias = tuple[type[pulumi.ComponentResource], type[Any], dict[str, Any]]
"""A component, the class of its arguments, and a valid set of them."""
COMPONENTS: dict[str, Makeable] = {
    "service": (FastApiService, FastApiServiceArgs, RELEASE),
    "worker": (BackgroundWorker, BackgroundWorkerArgs, RELEASE | {"command": ("w",), "worker": "emails"}),
    "migration": (MigrationJob, MigrationJobArgs, RELEASE | {"direct_database": SecretKey("orders-db", "direct")}),
    "schedule": (ScheduledJob, ScheduledJobArgs, RELEASE | {"command": ("c",), "job": "cleanup", "schedule": "@daily"}),
    "database": (LocalPostgres, LocalPostgresArgs,
                 {"environment": Environment.LOCAL, "namespace": "orders", "service": "orders"}),
}
EVERY = pytest.mark.parametrize("of", COMPONENTS)
RESTARTED = pytest.mark.parametrize("of", ["service", "worker", "schedule"])
RELEASED = pytest.mark.parametrize("of", ["service", "worker", "migration", "schedule"])


def records(record: Recorder, of: str, **overrides: Any) -> tuple[Record, ...]:
    component, args, arguments = COMPONENTS[of]
    return record.all(component, args(**arguments | overrides))


def workload(record: Recorder, of: str, **overrides: Any) -> Record:
    """The object that makes the pods."""
    found = [each for each in records(record, of, **overrides) if each.type.rpartition(":")[2] in KINDS]
    assert len(found) == 1
    return found[0]


def template(found: Record) -> tuple[str, ...]:
    """Path of the pod template."""
    return ("spec", "jobTemplate", "spec", "template") if found.type.endswith(":CronJob") else ("spec", "template")


def pod(found: Record, *path: str | int) -> Value:
    return found.at(*template(found), "spec", *path)


def checksum(record: Recorder, of: str, **overrides: Any) -> Value:
    found = workload(record, of, **overrides)
    return found.at(*template(found), "metadata", "annotations", "fastapi-platform/config-checksum")


@EVERY
def test_pods_start_after_their_identity_their_settings_and_their_policy(record: Recorder, of: str):
    """Before its policy exists a pod is open or cut off; without the others it cannot start at all."""
    found = records(record, of)
    needed = {each.urn for kind in (":ServiceAccount", ":ConfigMap", ":NetworkPolicy") for each in of_type(found, kind)}
    assert len(needed) == 3
    assert needed <= set(workload(record, of).dependencies)


@EVERY
def test_a_pod_uses_its_own_identity_settings_and_policy(record: Recorder, of: str):
    found = records(record, of)
    account, config, policy = (of_type(found, kind)[0] for kind in (":ServiceAccount", ":ConfigMap", ":NetworkPolicy"))
    made = workload(record, of)
    assert pod(made, "serviceAccountName") == account.at("metadata", "name")
    assert pod(made, "containers", 0, "envFrom") == [{"configMapRef": {"name": config.at("metadata", "name")}}]
    chosen = mapping(policy.at("spec", "podSelector", "matchLabels"))
    assert len(chosen) == 3
    assert chosen.items() <= mapping(made.at(*template(made), "metadata", "labels")).items()


@EVERY
def test_everything_is_in_the_namespace_that_was_named(record: Recorder, of: str):
    for found in records(record, of, namespace="elsewhere"):
        if found.type.startswith("kubernetes:"):
            assert found.at("metadata", "namespace") == "elsewhere", found.urn


@EVERY
def test_other_services_of_the_namespace_are_no_variables_of_the_pod(record: Recorder, of: str):
    """A Service named `port` would set PORT_PORT, one named `database` DATABASE_PORT=tcp://…: settings of nobody."""
    assert pod(workload(record, of), "enableServiceLinks") is False


@EVERY
def test_pod_and_container_are_restricted_to_the_letter(record: Recorder, of: str):
    """By default a volume's files change owner one by one at every start, and the group is root's."""
    user = 999 if of == "database" else 10001
    assert pod(workload(record, of), "securityContext") == {
        "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod(workload(record, of), "containers", 0, "securityContext") == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "privileged": False,
        "readOnlyRootFilesystem": True, "runAsNonRoot": True,
    }


@EVERY
def test_a_running_node_needs_no_registry_to_restart_a_pod(record: Recorder, of: str):
    """With Always a pod that is restarted while the registry is down stays down."""
    assert pod(workload(record, of), "containers", 0, "imagePullPolicy") == "IfNotPresent"


@RESTARTED
def test_another_setting_replaces_the_pods(record: Recorder, of: str):
    """A pod reads its settings when it starts; the annotation is what makes a new one start."""
    before = checksum(record, of, env={"LOG_LEVEL": "info"})
    assert isinstance(before, str)
    assert before != checksum(record, of, env={"LOG_LEVEL": "debug"})


@RESTARTED
def test_another_version_of_a_secret_replaces_the_pods(record: Recorder, of: str):
    """Without a changed template a pod would keep the old value for weeks."""
    before = checksum(record, of, secrets={"API_KEY": SecretKey("keys", "api", "1")})
    assert isinstance(before, str)
    assert before != checksum(record, of, secrets={"API_KEY": SecretKey("keys", "api", "2")})


@pytest.mark.parametrize(
    ("name", "key", "field"),
    [
        ("", "key", "name"), ("Orders_DB", "key", "name"), ("orders", "", "key"), ("orders", "a b/c", "key"),
        ("postgresql://u:hunter2@h/db", "key", "name"), ("orders", "ghp_" + "hunter2" * 6, "key"),
    ],
)
def test_a_value_in_place_of_a_name_is_refused_and_not_repeated(name: str, key: str, field: str):
    """Whoever pastes the credential itself would find it in the state and in every manifest."""
    with pytest.raises(PlatformError, match=rf"^SecretKey\.{field}: got ") as refused:
        SecretKey(name, key)
    assert "hunter2" not in str(refused.value)


@RESTARTED
def test_a_secret_is_named_and_never_copied(record: Recorder, of: str):
    variables = pod(workload(record, of, secrets={"API_KEY": SecretKey("keys", "api")}), "containers", 0, "env")
    assert variables == [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}]


def test_the_order_of_secrets_in_a_stack_file_means_nothing(record: Recorder):
    one, other = SecretKey("keys", "one"), SecretKey("keys", "other")
    before = workload(record, "service", secrets={"ONE": one, "OTHER": other})
    assert before == workload(record, "service", secrets={"OTHER": other, "ONE": one})


@RELEASED
def test_every_process_knows_its_service_and_its_environment(record: Recorder, of: str):
    """Logs and traces are told apart by them; what a stack file states comes on top."""
    config = of_type(records(record, of, env={"LOG_LEVEL": "info"}), ":ConfigMap")[0]
    own = {"MIGRATION_DEADLINE_SECONDS": "840"} if of == "migration" else {}
    said = {"ENVIRONMENT": "production", "SERVICE_NAME": "orders", "LOG_LEVEL": "info"}
    assert config.inputs["data"] == {**said, **own}


@RELEASED
def test_it_reaches_what_its_flows_declare(record: Recorder, of: str):
    flow = Flow(peer=Peer(cidr="10.20.0.0/28"), ports=(5432,))
    policy = of_type(records(record, of, egress=(flow,)), ":NetworkPolicy")[0]
    declared = {"to": [{"ipBlock": {"cidr": "10.20.0.0/28"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}
    assert policy.at("spec", "egress", 1) == declared


@EVERY
def test_a_pod_gets_the_resources_it_was_given(record: Recorder, of: str):
    given = Resources(cpu="100m", cpu_limit="1", memory="300Mi", memory_limit="400Mi", ephemeral_storage="100Mi")
    assert pod(workload(record, of, resources=given), "containers", 0, "resources") == {
        "requests": {"cpu": "100m", "memory": "300Mi", "ephemeral-storage": "100Mi"},
        "limits": {"cpu": "1", "memory": "400Mi", "ephemeral-storage": "100Mi"},
    }


@RELEASED
def test_tmp_has_the_size_it_was_given(record: Recorder, of: str):
    found = workload(record, of, tmp_size="32Mi")
    assert pod(found, "volumes") == [{"name": "tmp", "emptyDir": {"sizeLimit": "32Mi"}}]


@pytest.mark.parametrize("of", ["worker", "migration", "schedule"])
def test_the_command_is_what_the_container_runs(record: Recorder, of: str):
    """The image's default command would start the server once more."""
    found = workload(record, of, command=("python", "-m", "app.task"))
    assert pod(found, "containers", 0, "command") == ["python", "-m", "app.task"]


@RELEASED
def test_the_release_is_what_the_image_says(record: Recorder, of: str):
    found = workload(record, of)
    assert pod(found, "containers", 0, "image") == IMAGE
    for labels in (found.at("metadata", "labels"), found.at(*template(found), "metadata", "labels")):
        assert at(labels, "app.kubernetes.io/version") == "a" * 12


@RELEASED
def test_every_pod_of_a_release_can_be_placed(record: Recorder, of: str):
    """A private registry, a node pool of its own: without them the pod never starts, or starts elsewhere."""
    placement = Placement(
        image_pull_secrets=("registry",),
        node_selector={"pool": "orders"},
        priority_class="high",
        tolerations=(Toleration(key="pool", value="orders", effect="NoSchedule"), Toleration(key="spot")),
    )
    found = workload(record, of, placement=placement)
    assert pod(found, "imagePullSecrets") == [{"name": "registry"}]
    assert pod(found, "nodeSelector") == {"pool": "orders"}
    assert pod(found, "priorityClassName") == "high"
    assert pod(found, "tolerations") == [
        {"key": "pool", "operator": "Equal", "value": "orders", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]


@pytest.mark.parametrize("of", [*COMPONENTS, "namespace"])
def test_a_component_registers_the_outputs_that_it_declares(
    record: Recorder, of: str, monkeypatch: pytest.MonkeyPatch
):
    """An output that is declared and not registered is missing in the state, and nobody sees why."""
    namespace: dict[str, Any] = {"namespace": "orders"}
    known: dict[str, Makeable] = {
        **COMPONENTS, "namespace": (RestrictedNamespace, RestrictedNamespaceArgs, namespace),
    }
    component, args, arguments = known[of]
    registered: list[set[str]] = []

    def register(resource: object, outputs: dict[str, Any]) -> None:
        if isinstance(resource, component):
            registered.append(set(outputs))

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", register)
    record.recording(lambda: component("it", args(**arguments)) and None)
    assert registered == [set(component.__annotations__)]
