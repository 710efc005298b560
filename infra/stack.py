"""The composition of a stack: what there is, and in which order.

Owns the wiring, which is the deploy order. Deliberately holds no resource detail: those are in the components.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
from providers import in_cluster, with_random
from settings import Settings

from fastapi_platform import (
    BackgroundWorker,
    FastApiService,
    LocalPostgres,
    MigrationJob,
    RestrictedNamespace,
    ScheduledJob,
)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a stack exports."""

    address: pulumi.Output[str]
    """Address of the service inside the cluster."""
    migration_job: pulumi.Output[str] | None
    """Name of the finished migration Job; none when the stack goes without."""
    namespace: pulumi.Output[str]
    """Namespace of everything."""


def build(settings: Settings) -> Outputs:
    """Create everything a stack consists of."""
    cluster = in_cluster(settings.cluster)
    space = RestrictedNamespace("namespace", settings.namespace, cluster)
    namespace = space.namespace
    data: list[pulumi.Resource] = [space]
    if settings.database is not None:
        options = pulumi.ResourceOptions.merge(_after(cluster, data), with_random())
        data.append(LocalPostgres("database", replace(settings.database, namespace=namespace), options))
    gate = _gate(settings, namespace, _after(cluster, data))
    released = _after(cluster, data if gate is None else [gate])
    service = FastApiService("service", replace(settings.service, namespace=namespace), released)
    for name, worker in settings.workers.items():
        BackgroundWorker(f"worker-{name}", replace(worker, namespace=namespace), released)
    for name, schedule in settings.schedules.items():
        ScheduledJob(f"schedule-{name}", replace(schedule, namespace=namespace), released)
    return Outputs(
        address=service.address, migration_job=None if gate is None else gate.job_name, namespace=namespace
    )


def _gate(
    settings: Settings, namespace: pulumi.Output[str], options: pulumi.ResourceOptions
) -> MigrationJob | None:
    if settings.migration is None:
        return None
    return MigrationJob("migration", replace(settings.migration, namespace=namespace), options)


def _after(cluster: pulumi.ResourceOptions, needed: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(cluster, pulumi.ResourceOptions(depends_on=list(needed)))
