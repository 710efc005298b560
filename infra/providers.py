"""The providers of a stack: explicit, never ambient.

Owns how the platform connects. Deliberately takes no default from the machine but the kubeconfig's place, which the
stack file may name; the context is always named there.
"""

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from document import ExistingCluster


def in_cluster(cluster: ExistingCluster) -> pulumi.ResourceOptions:
    """Options for components of the stack's cluster and all that is in them."""
    provider = kubernetes.Provider(
        "cluster",
        context=cluster.context,
        # Without an identifier a changed kubeconfig replaces the provider, and with it everything in the cluster.
        cluster_identifier=cluster.context,
        kubeconfig=cluster.kubeconfig,
        enable_server_side_apply=True,
        delete_unreachable=False,
        suppress_deprecation_warnings=False,
    )
    return pulumi.ResourceOptions(providers=[provider])


def with_random() -> pulumi.ResourceOptions:
    """Options for components that generate passwords."""
    return pulumi.ResourceOptions(providers=[random.Provider("random")])
