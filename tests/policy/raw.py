"""A good program of raw resources, and copies of it with one thing changed.

No component of ours takes part: the rules must catch code that bypasses the components.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.sources import from_states
from fastapi_platform_preview.recorder import Deployment, record

IMAGE = "registry.example/shop@sha256:" + "b" * 64
NOT_KNOWN = "<not known>"
"""Stands in a body for a value that only the deployment decides."""
SECRET = "<secret>"
"""Stands in a body for a secret value."""
GONE = "<gone>"
"""As a new value: take the field away."""

LABELS = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/component": "api"}
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
    "limits": {"memory": "128Mi", "ephemeral-storage": "64Mi"},
}
CONTEXT = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
POD = {
    "serviceAccountName": "shop",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
}
API = {
    "name": "api",
    "image": IMAGE,
    "command": ["uvicorn", "shop:app", "--timeout-graceful-shutdown=20", "--timeout-keep-alive", "620"],
    "ports": [{"containerPort": 8000}],
    "resources": RESOURCES,
    "securityContext": CONTEXT,
    "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "pooled"}}}],
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    "startupProbe": {"httpGet": {"path": "/live", "port": 8000}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}},
    "livenessProbe": {"httpGet": {"path": "/live", "port": 8000}},
}
MIGRATE = {
    "name": "migrate",
    "image": IMAGE,
    "command": ["alembic", "upgrade", "head"],
    "resources": RESOURCES,
    "securityContext": CONTEXT,
    "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "direct"}}}],
}


def _metadata(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", **more}


GOOD: dict[str, dict[str, Any]] = {
    "deployment": {
        "metadata": _metadata("shop", annotations={
            "fastapi-platform/drain-promise": '{"request_timeout_seconds": 20, "load_balancer": {"networks": [],'
            ' "removal_lag_seconds": 5, "timeout_seconds": null, "drain_seconds": null, "idle_seconds": null}}'
        }),
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {**POD, "terminationGracePeriodSeconds": 30, "containers": [API]},
            },
        },
    },
    "service": {"metadata": _metadata("shop"), "spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "autoscaler": {
        "metadata": _metadata("shop"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}],
        },
    },
    "budget": {
        "metadata": _metadata("shop"),
        "spec": {
            "maxUnavailable": 1, "selector": {"matchLabels": LABELS}, "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    },
    "policy": {
        "metadata": _metadata("everything"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    },
    "config": {"metadata": _metadata("shop"), "data": {"LOG_LEVEL": "info"}},
    "migration": {
        "metadata": _metadata("shop-migrate", annotations={"pulumi.com/replaceUnready": "true"}),
        "spec": {
            "activeDeadlineSeconds": 300,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/component": "migration"}},
                "spec": {**POD, "restartPolicy": "Never", "containers": [MIGRATE]},
            },
        },
    },
}  # fmt: skip

MAKERS: dict[str, Callable[..., Any]] = {
    "autoscaler": k8s.autoscaling.v2.HorizontalPodAutoscaler,
    "budget": k8s.policy.v1.PodDisruptionBudget,
    "config": k8s.core.v1.ConfigMap,
    "deployment": k8s.apps.v1.Deployment,
    "migration": k8s.batch.v1.Job,
    "policy": k8s.networking.v1.NetworkPolicy,
    "second": k8s.apps.v1.Deployment,
    "service": k8s.core.v1.Service,
}
MIGRATION_OPTIONS = {"delete_before_replace": True, "replace_on_changes": ["*"]}


def changed(path: str, value: Any) -> dict[str, dict[str, Any]]:
    """The good program with another value at a dotted path, e.g. `deployment.spec.template.spec.containers.0.image`."""
    bodies = deepcopy(GOOD)
    here: Any = bodies
    *steps, last = [_step(text) for text in path.replace("\\.", "\0").split(".")]
    for step in steps:
        here = here[step] if isinstance(step, int) else here.setdefault(step, {})
    if value == GONE:
        del here[last]
    else:
        here[last] = value
    return bodies


def _step(text: str) -> str | int:
    return int(text) if text.isdigit() else text.replace("\0", ".")


def program(bodies: dict[str, dict[str, Any]], **options: Any) -> Program:
    """Record a program that declares the objects; the deployment waits for the migration.

    Args:
        bodies: Bodies by logical name.
        options: Options of the migration over the good ones; `gate=False` takes the waiting away.
    """
    gate = options.pop("gate", True)

    def declare() -> None:
        special = {NOT_KNOWN: random.RandomId("unknown", byte_length=4).hex, SECRET: pulumi.Output.secret("hunter2")}
        filled: dict[str, Any] = {name: _filled(body, special) for name, body in bodies.items()}
        waited: list[pulumi.Resource] = []
        if "migration" in filled:
            given: Any = MIGRATION_OPTIONS | options
            opts = pulumi.ResourceOptions(**given)
            waited.append(MAKERS["migration"]("migration", **filled.pop("migration"), opts=opts))
        for name, body in filled.items():
            MAKERS[name](name, **body, opts=pulumi.ResourceOptions(depends_on=waited if gate else []))

    return Program(from_states(record(declare, Deployment(project="raw", stack="test")).states))


def _filled(value: Any, special: dict[str, pulumi.Output[str]]) -> Any:
    if isinstance(value, str):
        return special.get(value, value)
    if isinstance(value, dict):
        return {key: _filled(child, special) for key, child in cast("dict[str, Any]", value).items()}
    return [_filled(child, special) for child in cast("list[Any]", value)] if isinstance(value, list) else value
