"""The providers of a stack: explicit, never ambient.

Owns how the platform connects. Deliberately takes no default from the machine but the kubeconfig's place, which the
stack file may name; the context is always named there.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from document import ExistingCluster


@dataclass(frozen=True, slots=True)
class Providers:
    """One connection to each thing a stack talks to."""

    cluster: kubernetes.Provider
    random: random.Provider

    def options(self) -> pulumi.ResourceOptions:
        """Options that hand the providers to a component and all that is in it."""
        return pulumi.ResourceOptions(providers=[self.cluster, self.random])


def connect(cluster: ExistingCluster) -> Providers:
    """Connect to an existing cluster."""
    return Providers(
        cluster=kubernetes.Provider(
            "cluster",
            context=cluster.context,
            # Without an identifier a changed kubeconfig replaces the provider, and with it everything in the cluster.
            cluster_identifier=cluster.context,
            kubeconfig=cluster.kubeconfig,
            enable_server_side_apply=True,
            delete_unreachable=False,
            suppress_deprecation_warnings=False,
        ),
        random=random.Provider("random"),
    )
