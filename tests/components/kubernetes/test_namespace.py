"""The namespace that everything runs in."""

from typing import Any

import pytest

from fastapi_platform import Environment, PlatformError, RestrictedNamespace, RestrictedNamespaceArgs
from fastapi_platform_policy.record import Marker, at
from tests.conftest import Recorder

SPACE = "kubernetes:core/v1:Namespace"
PATCH = "kubernetes:core/v1:NamespacePatch"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def valid_args(**overrides: Any) -> RestrictedNamespaceArgs:
    arguments: dict[str, Any] = {"namespace": "orders"}
    return RestrictedNamespaceArgs(**arguments | overrides)


# shape


def test_a_namespace_and_its_policy(record: Recorder):
    kinds = [each.type.rpartition(":")[2] for each in record.all(RestrictedNamespace, valid_args()) if each.custom]
    assert kinds == ["Namespace", "NetworkPolicy"]


def test_a_namespace_of_somebody_else_is_labelled_and_never_deleted(record: Recorder):
    """Deleting a patch takes the labels back; deleting a Namespace takes everything in it."""
    found = record.all(RestrictedNamespace, valid_args(existing=True))
    assert [each.type.rpartition(":")[2] for each in found if each.custom] == ["NamespacePatch", "NetworkPolicy"]
    labels = record.one(PATCH, RestrictedNamespace, valid_args(existing=True)).at("metadata", "labels")
    assert at(labels, "pod-security.kubernetes.io/enforce") == "restricted"


def test_a_namespace_that_others_live_in_is_left_to_them(record: Recorder):
    """Their pods may not be restricted, and nobody has declared what those pods talk to."""
    args = valid_args(existing=True, deny_traffic=False, enforce_pod_security=False)
    assert [each.type for each in record.all(RestrictedNamespace, args) if each.custom] == [PATCH]
    labels = record.one(PATCH, RestrictedNamespace, args).at("metadata", "labels")
    assert at(labels, "pod-security.kubernetes.io/enforce") is Marker.ABSENT
    assert at(labels, "pod-security.kubernetes.io/warn") == "restricted"
    assert at(labels, "app.kubernetes.io/managed-by") is Marker.ABSENT


@pytest.mark.parametrize("name", ["kube-system", "default"])
def test_a_namespace_of_the_cluster_itself_is_refused(name: str):
    with pytest.raises(PlatformError, match=rf"namespace: got {name}, want a namespace of the service's own"):
        valid_args(namespace=name, existing=True)


# invariants


def test_a_pod_that_is_not_restricted_is_refused(record: Recorder):
    labels = record.one(SPACE, RestrictedNamespace, valid_args()).at("metadata", "labels")
    for mode in ("enforce", "audit", "warn"):
        assert at(labels, f"pod-security.kubernetes.io/{mode}") == "restricted"
        assert at(labels, f"pod-security.kubernetes.io/{mode}-version") == "v1.33"


def test_all_traffic_of_all_pods_is_denied(record: Recorder):
    """The empty selector is the namespace's own; nothing is allowed by it, so it can reach no pod by mistake."""
    policy = record.one(POLICY, RestrictedNamespace, valid_args())
    assert policy.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_namespace_is_there_before_its_policy_and_says_what_it_promises(record: Recorder):
    found = record.all(RestrictedNamespace, valid_args(environment=Environment.DEVELOPMENT))
    space, policy = (next(each for each in found if each.type == kind) for kind in (SPACE, POLICY))
    assert space.urn in policy.dependencies
    assert space.at("metadata", "labels", "fastapi-platform/environment") == "development"


def test_it_is_protected_unless_told_otherwise(record: Recorder):
    """Deleting a namespace deletes every volume claim in it."""
    assert record.one(SPACE, RestrictedNamespace, valid_args()).protect
    assert not record.one(SPACE, RestrictedNamespace, valid_args(deletion_protection=False)).protect


# knobs


def test_the_pod_security_version_follows_the_setting(record: Recorder):
    labels = record.one(SPACE, RestrictedNamespace, valid_args(pod_security_version="latest")).at("metadata", "labels")
    assert at(labels, "pod-security.kubernetes.io/enforce-version") == "latest"


# rejections


@pytest.mark.parametrize(
    ("overrides", "field"),
    [({"namespace": "Orders"}, "namespace"), ({"namespace": "n" * 64}, "namespace"),
     ({"pod_security_version": "1.33"}, "pod_security_version")],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"RestrictedNamespaceArgs\.{field}: got "):
        valid_args(**overrides)


# outputs


def test_the_name_is_released_once_traffic_is_denied(record: Recorder):
    fact = record.outputs(RestrictedNamespace, valid_args())["namespace"]
    assert fact.value == "orders"
    assert fact.known
    assert fact.depends_on(POLICY)
