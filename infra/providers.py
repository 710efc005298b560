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
        # What is left unsaid, the provider reads from variables of the machine.
        delete_unreachable=False,
        enable_config_map_mutable=False,
        enable_patch_force=False,
        enable_secret_mutable=False,
        skip_update_unreachable=False,
        suppress_deprecation_warnings=False,
        suppress_helm_hook_warnings=False,
        upsert_existing_objects=False,
    )
    return pulumi.ResourceOptions(providers=[provider])


def with_random() -> pulumi.ResourceOptions:
    """Options for components that generate passwords."""
    return pulumi.ResourceOptions(providers=[random.Provider("random")])
