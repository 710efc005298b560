"""The `local` stack on a cluster, through the real engine: created, changed, broken, mended, gone, and there again."""

from collections.abc import Iterator

import pytest
from pulumi.automation import CommandError

from tests.cluster.kubectl import NAMESPACE, Kubectl
from tests.cluster.prediction import differences, key
from tests.e2e.deployment import Deployment
from tests.e2e.wire import Wire

READY = f"/api/v1/namespaces/{NAMESPACE}/services/orders:80/proxy/healthz/ready"
MIGRATE = ["python", "-m", "fastapi_platform_runtime.migrate"]


@pytest.fixture(autouse=True)
def back_to_normal(deployment: Deployment, kubectl: Kubectl) -> Iterator[None]:
    """Whatever a test broke is mended by the same two steps: the old settings, and `up`."""
    yield
    deployment.reset()
    deployment.up()
    assert serves(kubectl)


def serves(kubectl: Kubectl) -> bool:
    return kubectl("get", "--raw", READY) == '{"status":"ok"}'


def generation(kubectl: Kubectl) -> int:
    """Changes with every change of the Deployment's spec."""
    return kubectl.get("deployment", "orders")["metadata"]["generation"]


def settings(kubectl: Kubectl) -> list[str]:
    """The service's settings: those in use, and those of a deploy that is not finished."""
    names = kubectl("get", "configmaps", "--output", "name").split()
    return [name for name in names if name.startswith("configmap/orders-config-")]


def test_it_serves_and_a_second_deploy_changes_nothing(deployment: Deployment, kubectl: Kubectl):
    assert serves(kubectl)
    assert deployment.changes() == {}
    assert set(deployment.up()) == {"same"}


def test_the_cluster_holds_what_the_preview_showed(deployment: Deployment, kubectl: Kubectl):
    """The same objects, with the same fields, as the preview that needs no engine."""
    predicted = {key(each): each for each in deployment.predicted()}
    for (kind, name), each in predicted.items():
        assert list(differences(each, kubectl.get(kind, name))) == []
    kinds = ",".join({kind for kind, _ in predicted if kind != "Namespace"})
    ours = kubectl.get(kinds, "--selector", "app.kubernetes.io/managed-by=pulumi")["items"]
    assert {key(each) for each in ours if not each["metadata"].get("ownerReferences")} <= set(predicted)


def test_a_setting_replaces_the_pods_and_nothing_else(deployment: Deployment, kubectl: Kubectl):
    before = generation(kubectl)
    deployment.set("service", env={"LOG_LEVEL": "WARNING"})
    changes = deployment.up()
    assert changes.get("update") == 1
    assert changes.get("replace", 0) + changes.get("create", 0) + changes.get("create-replacement", 0) <= 2
    assert generation(kubectl) > before
    assert serves(kubectl)


def test_it_scales(deployment: Deployment, kubectl: Kubectl):
    deployment.set("service", autoscaling={"min_replicas": 3, "max_replicas": 4})
    assert deployment.up().get("update") == 1
    kubectl("wait", "deployment/orders", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=120s", timeout=130)
    assert deployment.changes() == {}


def test_a_failed_migration_leaves_the_old_version_serving(deployment: Deployment, kubectl: Kubectl):
    """The gate: nothing behind it is touched, and the reason is on the screen."""
    before = generation(kubectl)
    deployment.set("migrations", command=[*MIGRATE, "nonsense"])
    deployment.set("service", env={"LOG_LEVEL": "DEBUG"})
    with pytest.raises(CommandError, match="nonsense"):
        deployment.up()
    assert serves(kubectl)
    assert generation(kubectl) == before


def test_a_failed_rollout_can_be_taken_back(deployment: Deployment, kubectl: Kubectl):
    """The settings of the old pods are still there when they are wanted again."""
    deployment.set("service", rollout={"progress_deadline_seconds": 70}, env={"LOG_LEVEL": "nonsense"})
    with pytest.raises(CommandError, match="cannot start: LOG_LEVEL"):
        deployment.up()
    assert serves(kubectl)
    deployment.reset()
    deployment.up()
    assert serves(kubectl)
    assert deployment.changes() == {}
    assert len(settings(kubectl)) == 1


def test_a_deploy_whose_api_server_goes_away_is_finished_by_the_next(
    deployment: Deployment, kubectl: Kubectl, wire: Wire
):
    """In the middle of it: the new settings are there, and the Deployment that reads them is not changed yet."""
    before = generation(kubectl)
    deployment.set("service", env={"LOG_LEVEL": "WARNING"})
    with pytest.raises(CommandError):
        deployment.up(on_change=wire.cut)
    assert generation(kubectl) == before
    assert len(settings(kubectl)) > 1
    wire.mend()
    deployment.up()
    assert serves(kubectl)
    assert deployment.changes() == {}


def test_what_is_destroyed_can_be_made_again(deployment: Deployment, kubectl: Kubectl):
    deployment.destroy()
    assert f"namespace/{NAMESPACE}" not in kubectl("get", "namespaces", "--output", "name").split()
    deployment.up()
    assert serves(kubectl)
