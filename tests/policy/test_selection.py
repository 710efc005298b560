"""Label selectors, as the cluster reads them.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record, Value
from fastapi_platform_policy.selection import picks
from fastapi_platform_policy.traffic import opens_anywhere

PODS: dict[str, Value] = {"app": "shop", "tier": "api"}
labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)


def expression(key: str, operator: str, *values: str) -> dict[str, Value]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "picked"),
    [
        ({}, True),
        ({"app": "shop"}, True),
        ({"app": "shop", "tier": "web"}, False),
        ({"matchLabels": {"app": "shop"}}, True),
        ({"matchLabels": {}}, True),
        (expression("app", "In", "shop", "cart"), True),
        (expression("app", "NotIn", "shop"), False),
        (expression("zone", "NotIn", "a"), True),
        (expression("tier", "Exists"), True),
        (expression("zone", "Exists"), False),
        (expression("zone", "DoesNotExist"), True),
        ({"matchLabels": {"app": "shop"}} | expression("tier", "NotIn", "api"), False),
        (Marker.ABSENT, False),
        (Marker.UNKNOWN, None),
        ({"app": Marker.UNKNOWN}, None),
        ({"app": Marker.UNKNOWN, "tier": "web"}, False),
    ],
)
def test_a_selector_picks_what_kubernetes_would(selector: Value, picked: bool | None):
    assert picks(selector, PODS) is picked


@pytest.mark.parametrize(
    ("pod_labels", "picked"), [(Marker.UNKNOWN, None), ({"app": Marker.UNKNOWN}, None), ({}, False)]
)
def test_labels_that_are_not_known_decide_nothing(pod_labels: Value, picked: bool | None):
    assert picks({"app": "shop"}, pod_labels) is picked


@given(labels, labels)
def test_equality_is_containment(selector: dict[str, str], pod_labels: dict[str, str]):
    assert picks(selector, pod_labels) is (selector.items() <= pod_labels.items())
    assert picks({"matchLabels": selector}, pod_labels) is (selector.items() <= pod_labels.items())


def record(kind: str, name: str, **inputs: Any) -> Record:
    metadata = {"name": name, "namespace": inputs.pop("namespace", "shop")}
    group = {"Deployment": "apps/v1", "NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1",
             "Service": "core/v1"}[kind]
    return Record(urn=f"{kind}/{metadata['namespace']}/{name}", type=f"kubernetes:{group}:{kind}", name=name,
                  inputs={"metadata": metadata, **inputs})


def deployment(name: str, pod_labels: dict[str, str], **more: Any) -> Record:
    template = {"metadata": {"labels": pod_labels}}
    return record("Deployment", name, spec={"selector": {"matchLabels": pod_labels}, "template": template}, **more)


def service(selector: dict[str, str], **more: Any) -> Record:
    return record("Service", "shop", spec={"selector": selector}, **more)


@given(st.lists(labels, max_size=6), labels)
def test_the_index_finds_what_looking_at_every_workload_finds(
    all_labels: list[dict[str, str]], chosen: dict[str, str]
):
    """The index makes a thousand services take ten times as long as a hundred; it must not lose one on the way."""
    workloads = [deployment(f"d{position}", pod_labels) for position, pod_labels in enumerate(all_labels)]
    budget = record("PodDisruptionBudget", "shop", spec={"selector": {"matchLabels": chosen}})
    selections = Program([budget, *workloads]).selections
    found = next(selection for selection in selections if selection.role == "PodDisruptionBudget")
    expected = [f"d{position}" for position, pod_labels in enumerate(all_labels) if picks(chosen, pod_labels)]
    assert sorted(workload.name for workload in found.workloads) == expected


def near() -> Record:
    return deployment("near", {"a": "b"})


def test_a_selector_reaches_only_its_own_namespace():
    far = deployment("far", {"a": "b"}, namespace="elsewhere")
    selections = Program([service({"a": "b"}), near(), far]).selections
    assert [workload.name for workload in selections[0].workloads] == ["near"]


@pytest.mark.parametrize("spec", [{"type": "ExternalName"}, {"selector": {}}, {"selector": None}])
def test_a_service_without_labels_to_look_for_selects_nothing(spec: dict[str, Any]):
    """Such a Service points to endpoints that somebody writes by hand."""
    selections = Program([record("Service", "external", spec=spec), near()]).selections
    assert [found.role for found in selections] == ["Deployment"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [("PodDisruptionBudget", {"selector": {}}), ("NetworkPolicy", {"podSelector": {}}), ("NetworkPolicy", {})],
)
def test_an_empty_selector_of_anything_else_selects_everything(kind: str, spec: dict[str, Any]):
    found = Program([record(kind, "all", spec=spec), near()]).selections
    assert [(each.everything, len(each.workloads)) for each in found if each.role == kind] == [(True, 1)]


def test_a_mapping_where_a_policy_wants_text_leads_nowhere():
    """The cluster refuses it; a rule that fails on it would hide all that the other rules say."""
    odd: dict[str, Any] = {"to": [{"ipBlock": {"cidr": {}}}], "ports": [{"port": {}}]}
    policy = record("NetworkPolicy", "odd", spec={"policyTypes": ["Egress"], "egress": [odd]})
    assert opens_anywhere(policy) is False
