"""The network policy of one workload: everything refused but its declared flows and DNS.

Owns the translation of flows. Deliberately has no policy without a pod selector except the namespace's own
deny-everything (`namespace.py`).
Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, networking

from ..planning.flows import Flow, Peer

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that every namespace carries with its own name."""
DNS_PORT = 53
DNS_PEERS = (
    Peer(namespace="kube-system"),
    Peer(cidr="169.254.20.10/32"),
    Peer(cidr="169.254.169.254/32"),
)
"""The cluster's DNS pods, NodeLocal DNSCache, and the resolver of Google's nodes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A port of the workload that a peer may connect to.

    By name: a release that listens on another number must not cut off the pods that it has yet to replace.
    """

    peer: Peer
    """Who may connect."""
    port: str
    """Name of the container's port."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """What may reach a workload and what it may reach."""

    egress: Sequence[Flow] = ()
    """Flows that the workload opens; DNS is always among them."""
    ingress: Sequence[Opening] = ()
    """Connections that others open to it."""


def build(
    resource_name: str,
    *,
    name: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    reach: Reach,
    opts: pulumi.ResourceOptions,
) -> networking.v1.NetworkPolicy:
    """Deny both directions for the selected pods and allow `reach`."""
    return networking.v1.NetworkPolicy(
        resource_name,
        metadata=meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labels)),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=meta.v1.LabelSelectorArgs(match_labels=dict(selector)),
            policy_types=["Ingress", "Egress"],
            ingress=[
                networking.v1.NetworkPolicyIngressRuleArgs(
                    from_=[_peer(opening.peer)],
                    ports=[networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=opening.port)],
                )
                for opening in reach.ingress
            ]
            or None,
            egress=[
                _dns(),
                *(
                    networking.v1.NetworkPolicyEgressRuleArgs(to=[_peer(flow.peer)], ports=_ports(flow))
                    for flow in reach.egress
                ),
            ],
        ),
        opts=opts,
    )


def _dns() -> networking.v1.NetworkPolicyEgressRuleArgs:
    return networking.v1.NetworkPolicyEgressRuleArgs(
        to=[_peer(peer) for peer in DNS_PEERS],
        ports=[networking.v1.NetworkPolicyPortArgs(protocol=protocol, port=DNS_PORT) for protocol in ("UDP", "TCP")],
    )


def _ports(flow: Flow) -> list[networking.v1.NetworkPolicyPortArgs]:
    return [networking.v1.NetworkPolicyPortArgs(protocol=flow.protocol, port=port) for port in flow.ports]


def _peer(peer: Peer) -> networking.v1.NetworkPolicyPeerArgs:
    if peer.cidr is not None:
        return networking.v1.NetworkPolicyPeerArgs(ip_block=networking.v1.IPBlockArgs(cidr=peer.cidr))
    return networking.v1.NetworkPolicyPeerArgs(
        pod_selector=meta.v1.LabelSelectorArgs(match_labels=dict(peer.pod_labels) or None),
        namespace_selector=None
        if peer.namespace is None
        else meta.v1.LabelSelectorArgs(match_labels={NAMESPACE_NAME: peer.namespace}),
    )
