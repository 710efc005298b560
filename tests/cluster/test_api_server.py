"""What a real API server says to the manifests of every stack, in a namespace that enforces Pod Security."""

import os
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.kubectl import NAMESPACE, Kubectl, Object, RefusedError
from tests.conftest import EVERYTHING, ROOT, STACKS

DRY_RUN = "--dry-run=server"


def rendered(stack: str) -> list[Object]:
    folder = ROOT / "tests" if stack == EVERYTHING else ROOT
    command = (ROOT / ".venv/bin/fastapi-platform", "render", stack, "--cwd", folder)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[list[Object]]:
    """The objects of a stack, whose namespace is really there."""
    objects = rendered(request.param)
    spaces = [each for each in objects if each["kind"] == "Namespace"] or [restricted()]
    for each in spaces:
        kubectl.apply(each)
    yield objects
    kubectl("delete", "namespace", *(each["metadata"]["name"] for each in spaces), timeout=180)


def restricted() -> Object:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


@pytest.mark.parametrize("namespace", STACKS, indirect=True)
def test_the_api_server_takes_every_object(kubectl: Kubectl, namespace: list[Object]):
    for each in namespace:
        kubectl.apply(each, DRY_RUN)


@pytest.mark.parametrize("namespace", STACKS, indirect=True)
def test_pod_security_takes_every_pod(kubectl: Kubectl, namespace: list[Object]):
    """Of a workload it only warns; what it refuses is the pod."""
    pods = [pod for each in namespace if (pod := pod_of(each))]
    assert len(pods) >= 2
    for pod in pods:
        kubectl.apply(account_of(pod))
        kubectl.apply(pod, DRY_RUN)


@pytest.mark.parametrize("namespace", ["local"], indirect=True)
def test_it_would_refuse_a_pod_that_is_not_restricted_and_a_field_that_does_not_exist(
    kubectl: Kubectl, namespace: list[Object]
):
    """The control."""
    pod = next(pod for each in namespace if (pod := pod_of(each)))
    kubectl.apply(account_of(pod))
    privileged = {**pod, "spec": {**pod["spec"], "hostNetwork": True}}
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        kubectl.apply(privileged, DRY_RUN)
    misspelled = {**pod, "spec": {**pod["spec"], "restartPolice": "Never"}}
    with pytest.raises(RefusedError, match="restartPolice"):
        kubectl.apply(misspelled, DRY_RUN)


def test_it_judges_the_resources_of_the_gateway_api(kubectl: Kubectl):
    """With its own rules too, which no schema says."""
    listener = {"name": "https", "protocol": "HTTP", "port": 80}
    spec: Object = {"gatewayClassName": "any", "listeners": [listener]}
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "a"}, "spec": spec}
    kubectl.apply(gateway, DRY_RUN, "--namespace=default")
    spec["listeners"] = [listener, listener]
    with pytest.raises(RefusedError, match=r"duplicate entries|must be unique"):
        kubectl.apply(gateway, DRY_RUN, "--namespace=default")
    spec["listeners"] = [{**listener, "tls": {"mode": "Terminate"}}]
    with pytest.raises(RefusedError, match="tls must not be specified for protocols"):
        kubectl.apply(gateway, DRY_RUN, "--namespace=default")


@pytest.mark.skipif("CUSTOM_RESOURCES" not in os.environ, reason="CUSTOM_RESOURCES names no folder of definitions")
def test_it_judges_the_resources_of_the_cloud(kubectl: Kubectl):
    spec: Object = {"default": {"timeoutSec": 30}, "targetRef": {"group": "", "kind": "Service", "name": "orders"}}
    policy = {"apiVersion": "networking.gke.io/v1", "kind": "GCPBackendPolicy", "metadata": {"name": "a"}, "spec": spec}
    kubectl.apply(policy, DRY_RUN, "--namespace=default")
    spec["default"]["timeoutSec"] = "soon"
    with pytest.raises(RefusedError, match="timeoutSec"):
        kubectl.apply(policy, DRY_RUN, "--namespace=default")


def pod_of(each: Object) -> Object | None:
    spec = each.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    if template is None:
        return None
    metadata = {**template.get("metadata", {}), "name": each["metadata"]["name"], "namespace": NAMESPACE}
    claims: list[Object] = spec.get("volumeClaimTemplates", [])
    volumes: list[Object] = [*template["spec"].get("volumes", ())]
    volumes += [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], "volumes": volumes}}


def account_of(pod: Object) -> Object:
    metadata = {"name": pod["spec"]["serviceAccountName"], "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
