"""The network policy of a workload: exactly what is rendered, because one missing selector opens it to everybody."""

from typing import Any

import pytest

from fastapi_platform import FastApiService, FastApiServiceArgs, Flow, LoadBalancer, Peer, PlatformError
from fastapi_platform_policy.record import Value
from tests.conftest import IMAGE, Recorder

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
API = {"app.kubernetes.io/component": "api"}
NAME = "kubernetes.io/metadata.name"
DATA = {"matchLabels": {NAME: "data"}}
HTTP = {"protocol": "TCP", "port": "http"}


def rules(record: Recorder, direction: str, **overrides: Any) -> Value:
    """Rules of one direction; DNS is the first of those for egress."""
    arguments: dict[str, Any] = {"image": IMAGE, "namespace": "orders", "service": "orders"}
    return record.one(POLICY, FastApiService, FastApiServiceArgs(**arguments | overrides)).at("spec", direction)


def test_both_directions_are_denied_but_for_what_is_declared(record: Recorder):
    assert rules(record, "policyTypes") == ["Ingress", "Egress"]


def test_every_pod_may_ask_for_names_and_nothing_else(record: Recorder):
    """Most resolvers ask over UDP, and the nodes of some clusters answer from an address instead of a pod."""
    assert rules(record, "egress") == [
        {
            "to": [
                {"podSelector": {}, "namespaceSelector": {"matchLabels": {NAME: "kube-system"}}},
                {"ipBlock": {"cidr": "169.254.20.10/32"}},
                {"ipBlock": {"cidr": "169.254.169.254/32"}},
            ],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }
    ]


@pytest.mark.parametrize(
    ("peer", "rendered"),
    [
        (Peer(), {"podSelector": {}}),
        (Peer(pod_labels=API), {"podSelector": {"matchLabels": API}}),
        (Peer(namespace="data"), {"podSelector": {}, "namespaceSelector": DATA}),
        (Peer(namespace="data", pod_labels=API), {"podSelector": {"matchLabels": API}, "namespaceSelector": DATA}),
        (Peer(cidr="10.20.0.0/28"), {"ipBlock": {"cidr": "10.20.0.0/28"}}),
    ],
    ids=["its own namespace", "pods", "a namespace", "pods of a namespace", "a network"],
)
def test_a_peer_is_no_wider_than_it_was_declared(record: Recorder, peer: Peer, rendered: dict[str, Any]):
    """An empty namespace selector means every namespace; two entries instead of one mean either instead of both."""
    outward = rules(record, "egress", egress=(Flow(peer=peer, ports=(6379, 6380)),))
    ports = [{"protocol": "TCP", "port": 6379}, {"protocol": "TCP", "port": 6380}]
    assert isinstance(outward, list)
    assert outward[1:] == [{"to": [rendered], "ports": ports}]
    assert rules(record, "ingress", callers=(peer,)) == [{"from": [rendered], "ports": [HTTP]}]


def test_a_flow_keeps_its_protocol(record: Recorder):
    outward = rules(record, "egress", egress=(Flow(peer=Peer(cidr="10.0.0.8/32"), ports=(8125,), protocol="UDP"),))
    assert isinstance(outward, list)
    assert outward[1:] == [{"to": [{"ipBlock": {"cidr": "10.0.0.8/32"}}], "ports": [{"protocol": "UDP", "port": 8125}]}]


def test_callers_and_load_balancer_reach_the_service_and_scrapers_only_its_metrics(record: Recorder):
    inward = rules(
        record, "ingress", callers=(Peer(pod_labels=API),), load_balancer=LoadBalancer(networks=("35.191.0.0/16",)),
        metrics_port=9090, scrapers=(Peer(namespace="data"),),
    )
    assert inward == [
        {"from": [{"podSelector": {"matchLabels": API}}], "ports": [HTTP]},
        {"from": [{"ipBlock": {"cidr": "35.191.0.0/16"}}], "ports": [HTTP]},
        {"from": [{"podSelector": {}, "namespaceSelector": DATA}], "ports": [{"protocol": "TCP", "port": "metrics"}]},
    ]


@pytest.mark.parametrize("callers", [(), (Peer(),)])
def test_a_load_balancer_that_could_reach_no_pod_is_refused(record: Recorder, callers: tuple[Peer, ...]):
    """Its health checks fail, and no request ever arrives; pods that were named may be the load balancer's own."""
    with pytest.raises(PlatformError, match=r"load_balancer\.networks: got no network"):
        rules(record, "ingress", load_balancer=LoadBalancer(), callers=callers)
    gateway = (Peer(namespace="gateway"),)
    assert rules(record, "ingress", load_balancer=LoadBalancer(), callers=gateway)


def test_scrapers_without_a_metrics_port_are_refused(record: Recorder):
    """They would be let in to a port that is not there, and nobody would see a metric."""
    with pytest.raises(PlatformError, match=r"scrapers: got 1 without a port, want a metrics_port"):
        rules(record, "ingress", scrapers=(Peer(namespace="data"),))
