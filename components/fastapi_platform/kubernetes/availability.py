"""What keeps a workload available: rolling replacement, autoscaling, and a budget for disruptions.

Owns the numbers' translation for every Deployment of the platform. Deliberately sets no replica count beside an
autoscaler.
Sources: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from typing import TypedDict

import pulumi
from pulumi_kubernetes import apps, autoscaling, meta, policy

from ..planning.scaling import Autoscaling, Rollout
from .foundation import Foundation, Workload

ROLLOUT_MARGIN_SECONDS = 60
"""Pulumi must not give up before a rollout that makes no progress at all has been ended by its own deadline."""


class Rolling(TypedDict):
    """The part of a Deployment's spec that says how pods are replaced."""

    strategy: apps.v1.DeploymentStrategyArgs
    min_ready_seconds: int
    progress_deadline_seconds: int
    revision_history_limit: int


def rolling(rollout: Rollout) -> Rolling:
    """Replace pods one surge at a time; none goes before its successor is ready."""
    return Rolling(
        strategy=apps.v1.DeploymentStrategyArgs(
            type="RollingUpdate",
            rolling_update=apps.v1.RollingUpdateDeploymentArgs(
                max_surge=f"{rollout.surge_percent}%", max_unavailable=0
            ),
        ),
        min_ready_seconds=rollout.min_ready_seconds,
        progress_deadline_seconds=rollout.progress_deadline_seconds,
        revision_history_limit=rollout.revision_history_limit,
    )


def awaited(
    parent: pulumi.Resource, rollout: Rollout, base: Foundation, gates: pulumi.ResourceOptions
) -> pulumi.ResourceOptions:
    """Options of a Deployment: after its gates and what its pods stand on, and waited for until its own deadline."""
    timeout = f"{rollout.progress_deadline_seconds + ROLLOUT_MARGIN_SECONDS}s"
    own = pulumi.ResourceOptions(
        parent=parent,
        custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
        depends_on=list(base.resources),
    )
    return pulumi.ResourceOptions.merge(own, gates)


def autoscaler(
    resource_name: str, workload: Workload, bounds: Autoscaling, opts: pulumi.ResourceOptions
) -> autoscaling.v2.HorizontalPodAutoscaler:
    """Scale on CPU: up at once, down slowly.

    Args:
        resource_name: Logical name.
        workload: Whose Deployment, which has the workload's name.
        bounds: Replica bounds and target.
        opts: Options of the child resource.
    """
    return autoscaling.v2.HorizontalPodAutoscaler(
        resource_name,
        metadata=workload.metadata(workload.name),
        spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=workload.name
            ),
            min_replicas=bounds.min_replicas,
            max_replicas=bounds.max_replicas,
            metrics=[_cpu(bounds.target_cpu_percent)],
            behavior=_behavior(bounds),
        ),
        opts=opts,
    )


def disruption_budget(
    resource_name: str, workload: Workload, opts: pulumi.ResourceOptions
) -> policy.v1.PodDisruptionBudget:
    """One pod at a time may be evicted, and a pod that is broken anyway never blocks a drain."""
    return policy.v1.PodDisruptionBudget(
        resource_name,
        metadata=workload.metadata(workload.name),
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1,
            selector=meta.v1.LabelSelectorArgs(match_labels=workload.selector),
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
        opts=opts,
    )


def _cpu(target_percent: int) -> autoscaling.v2.MetricSpecArgs:
    return autoscaling.v2.MetricSpecArgs(
        type="Resource",
        resource=autoscaling.v2.ResourceMetricSourceArgs(
            name="cpu",
            target=autoscaling.v2.MetricTargetArgs(type="Utilization", average_utilization=target_percent),
        ),
    )


def _behavior(bounds: Autoscaling) -> autoscaling.v2.HorizontalPodAutoscalerBehaviorArgs:
    return autoscaling.v2.HorizontalPodAutoscalerBehaviorArgs(
        scale_up=autoscaling.v2.HPAScalingRulesArgs(
            stabilization_window_seconds=0,
            select_policy="Max",
            policies=[_step("Percent", 100, 15), _step("Pods", 4, 15)],
        ),
        scale_down=autoscaling.v2.HPAScalingRulesArgs(
            stabilization_window_seconds=bounds.scale_down_window_seconds,
            select_policy="Min",
            policies=[_step("Percent", 25, 60)],
        ),
    )


def _step(kind: str, value: int, period_seconds: int) -> autoscaling.v2.HPAScalingPolicyArgs:
    return autoscaling.v2.HPAScalingPolicyArgs(type=kind, value=value, period_seconds=period_seconds)
