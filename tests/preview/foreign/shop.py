"""A module of the program, to be imported as the engine would let it be imported."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s


def deploy(config: pulumi.Config) -> k8s.apps.v1.Deployment:
    """One raw Deployment behind one raw Service."""
    labels = {"app": "shop"}
    container = {"name": "shop", "image": "shop:1", "env": [{"name": "REGION", "value": config.require("region")}]}
    spec: Any = {
        "replicas": config.require_int("replicas"),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    k8s.core.v1.Secret("token", string_data={"token": config.require_secret("token")})
    k8s.core.v1.Service("shop", spec={"selector": labels, "ports": [{"port": 80}]})
    return k8s.apps.v1.Deployment("shop", spec=spec)
