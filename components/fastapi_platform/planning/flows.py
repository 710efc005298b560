"""Who may talk to whom: the flows a workload needs, everything else being refused.

Owns the description of a flow. Deliberately has no way to say 'anywhere': an open flow is a network written out.
Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import expect, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """The other end of a flow: pods by label, or addresses."""

    cidr: str | None = None
    """Network in CIDR notation, for ends outside the cluster; not together with labels."""
    namespace: str | None = None
    """Namespace of the pods; none means the workload's own."""
    pod_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of the pods; empty means every pod of that namespace."""

    def __post_init__(self) -> None:
        pods = self.namespace is not None or bool(self.pod_labels)
        verify(
            self,
            expect("cidr", self.cidr is None or is_network(self.cidr), want="a network such as 10.20.0.0/28",
                   why="Kubernetes cannot read it"),
            expect("cidr", self.cidr is None or not pods, want="either a network or pods",
                   why="Kubernetes refuses both in one peer", fix="Write two flows."),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Traffic to declared ports of a peer."""

    peer: Peer
    """The other end."""
    ports: tuple[int, ...]
    """Ports of the end that listens; at least one."""
    protocol: str = "TCP"
    """TCP or UDP."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("ports", bool(self.ports) and all(1 <= port <= 65535 for port in self.ports),
                   want="ports between 1 and 65535", why="a flow without a port is open on all of them"),
            expect("ports", len(set(self.ports)) == len(self.ports), want="each port once",
                   why="a port that is listed twice is a slip of the pen"),
            expect("protocol", self.protocol in ("TCP", "UDP"), want="TCP or UDP",
                   why="Kubernetes knows no other here"),
        )


SAME_NAMESPACE = Peer()
"""Every pod of the workload's own namespace."""


def is_network(text: str) -> bool:
    """Whether the text is a network in CIDR notation, without host bits."""
    return "/" in text and _network(text) is not None


def is_bounded_network(text: str) -> bool:
    """Whether the text is a network or an address, and not the network of all addresses."""
    network = _network(text)
    return network is not None and network.prefixlen > 0


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
