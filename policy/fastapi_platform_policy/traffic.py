"""What a NetworkPolicy closes and opens, as the cluster reads it.

Owns the defaults of `policyTypes`, and telling a way to the name server from a way to anywhere. Deliberately has no
opinion about who may be picked: that is in `rules/selectors.py`.
Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-resource
"""

from .record import Marker, Record, Value, at, items

INGRESS, EGRESS = "Ingress", "Egress"
DIRECTIONS = (INGRESS, EGRESS)
DNS_PORTS = (53, "53", "dns", "dns-tcp")
"""Number of the port, and what the cluster's DNS pods call it."""
ANYWHERE = ("0.0.0.0/0", "::/0")


def denies(policy: Record, direction: str) -> bool | None:
    """Whether what a policy does not allow in a direction is refused; None when only the deployment decides.

    Without `policyTypes` that is ingress, and egress when some is allowed.
    """
    stated = policy.at("spec", "policyTypes")
    if stated is Marker.UNKNOWN:
        return None
    if items(stated):
        return True if direction in items(stated) else None if Marker.UNKNOWN in items(stated) else False
    egress = policy.at("spec", "egress")
    return True if direction == INGRESS else None if egress is Marker.UNKNOWN else bool(items(egress))


def opens_ingress(policy: Record) -> bool | None:
    """Whether a policy lets anything in, named or not; None when only the deployment decides."""
    allowed = policy.at("spec", "ingress")
    return _both(denies(policy, INGRESS), None if allowed is Marker.UNKNOWN else bool(items(allowed)))


def opens_anywhere(policy: Record) -> bool | None:
    """Whether a policy lets pods out to every address, name servers apart; None when only the deployment decides."""
    allowed = policy.at("spec", "egress")
    answers = [_leads_anywhere(rule) for rule in items(allowed)]
    some = None if allowed is Marker.UNKNOWN or None in answers else False
    return _both(denies(policy, EGRESS), True if True in answers else some)


def _leads_anywhere(rule: Value) -> bool | None:
    ports, peers = at(rule, "ports"), at(rule, "to")
    if items(ports) and all(_is_dns(port) for port in items(ports)):
        return False
    if Marker.UNKNOWN in (ports, peers):
        return None
    networks = [at(peer, "ipBlock", "cidr") for peer in items(peers)]
    if not networks or any(network in ANYWHERE for network in networks):
        return True
    return None if Marker.UNKNOWN in networks else False


def _is_dns(port: Value) -> bool:
    last = at(port, "endPort")
    return at(port, "port") in DNS_PORTS and last in (Marker.ABSENT, at(port, "port"))


def _both(one: bool | None, other: bool | None) -> bool | None:
    if False in (one, other):
        return False
    return None if None in (one, other) else True
