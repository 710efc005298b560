"""A namespace that refuses what a production pod must not do, and all traffic that nobody declared.

Owns the namespace, or only the labels of one that somebody else made, and its deny-everything network policy.
Deliberately creates no quota: what a team may use is decided where the cluster is.

Resources: `v1` Namespace or a patch of one; `networking.k8s.io/v1` NetworkPolicy.
Source: https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

import re
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import core, meta, networking

from ..planning import labels, names
from ..planning.environment import Environment
from ..planning.errors import expect, verify
from .foundation import PACKAGE

SYSTEM_NAMESPACES = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
"""Namespaces of the cluster itself, whose pods must go on as they are."""
_VERSION = re.compile(r"latest|v1\.[0-9]{1,3}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RestrictedNamespaceArgs:
    """What a namespace needs to know."""

    namespace: str
    """Name of the namespace; a DNS label."""

    deletion_protection: bool = True
    """Whether Pulumi refuses to delete it; deleting a namespace deletes every volume claim in it."""
    environment: Environment = Environment.PRODUCTION
    """What the stack promises."""
    deny_traffic: bool = True
    """Whether a policy refuses all undeclared traffic of every pod in it; false where others live, or it is done."""
    enforce_pod_security: bool = True
    """Whether pods that are not *restricted* are refused; false where others live who cannot be. Warnings stay."""
    existing: bool = False
    """Whether somebody else made it: then it gets the labels and the policy, and is never deleted."""
    pod_security_version: str = "v1.33"
    """Kubernetes minor whose *restricted* rules apply; pinned, so that a cluster upgrade refuses no running pod."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("namespace", names.is_dns_label(self.namespace), want="a DNS label of 63 characters or fewer",
                   why="Kubernetes refuses other names"),
            expect("namespace", self.namespace not in SYSTEM_NAMESPACES, want="a namespace of the service's own",
                   why="the cluster's own pods would be cut off from each other"),
            expect("pod_security_version", _VERSION.fullmatch(self.pod_security_version) is not None,
                   want="latest or a minor such as v1.33", why="Kubernetes would ignore the label"),
        )


class RestrictedNamespace(pulumi.ComponentResource):
    """A namespace under Pod Security *restricted* that denies undeclared traffic."""

    namespace: pulumi.Output[str]
    """Name of the namespace; known once traffic in it is denied by default."""

    def __init__(
        self, name: str, args: RestrictedNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"{PACKAGE}:index:RestrictedNamespace", name, {"namespace": args.namespace}, opts)
        space = _namespace(name, args, self)
        ready = [space, _deny_everything(name, args, space, self)] if args.deny_traffic else [space]
        self.namespace = pulumi.Output.all(args.namespace, *(each.urn for each in ready)).apply(_name)
        self.register_outputs({"namespace": self.namespace})


def _namespace(
    name: str, args: RestrictedNamespaceArgs, parent: pulumi.Resource
) -> core.v1.Namespace | core.v1.NamespacePatch:
    if args.existing:
        return core.v1.NamespacePatch(
            f"{name}-labels",
            metadata=meta.v1.ObjectMetaPatchArgs(name=args.namespace, labels=_labels(args)),
            opts=pulumi.ResourceOptions(parent=parent),
        )
    return core.v1.Namespace(
        f"{name}-namespace",
        metadata=meta.v1.ObjectMetaArgs(name=args.namespace, labels=_labels(args)),
        opts=pulumi.ResourceOptions(parent=parent, protect=args.deletion_protection),
    )


def _deny_everything(
    name: str, args: RestrictedNamespaceArgs, space: pulumi.Resource, parent: pulumi.Resource
) -> pulumi.Resource:
    return networking.v1.NetworkPolicy(
        f"{name}-deny",
        metadata=meta.v1.ObjectMetaArgs(
            name="default-deny", namespace=args.namespace, labels={labels.MANAGED_BY: "pulumi"}
        ),
        spec=networking.v1.NetworkPolicySpecArgs(
            pod_selector=meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
        ),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[space]),
    )


def _labels(args: RestrictedNamespaceArgs) -> dict[str, str]:
    modes = ("enforce", "audit", "warn") if args.enforce_pod_security else ("audit", "warn")
    levels = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in modes
        for suffix, value in (("", "restricted"), ("-version", args.pod_security_version))
    }
    # Whoever made the namespace manages it.
    manager = {} if args.existing else {labels.MANAGED_BY: "pulumi"}
    return {**manager, labels.ENVIRONMENT: args.environment.value, **levels}


def _name(released: list[str]) -> str:
    return released[0]
