"""Components that run a FastAPI image in production.

Owns the public names. Deliberately imports none of them until it is asked for one: a program that uses only Kubernetes
never pays for another provider's SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kubernetes.migration import MigrationJob, MigrationJobArgs
    from .kubernetes.namespace import RestrictedNamespace, RestrictedNamespaceArgs
    from .kubernetes.pod import SecretKey
    from .kubernetes.postgres import LocalPostgres, LocalPostgresArgs
    from .kubernetes.scheduled_job import ScheduledJob, ScheduledJobArgs
    from .kubernetes.service import FastApiService, FastApiServiceArgs
    from .kubernetes.worker import BackgroundWorker, BackgroundWorkerArgs
    from .planning.drain import LoadBalancer
    from .planning.environment import Environment
    from .planning.errors import PlatformError
    from .planning.flows import Flow, Peer
    from .planning.placement import Placement, Toleration
    from .planning.probes import Probe, Probes
    from .planning.process import ProcessModel, Server
    from .planning.resources import Resources
    from .planning.scaling import Autoscaling, Rollout

_HOMES = {
    "Autoscaling": "planning.scaling",
    "BackgroundWorker": "kubernetes.worker",
    "BackgroundWorkerArgs": "kubernetes.worker",
    "Environment": "planning.environment",
    "FastApiService": "kubernetes.service",
    "FastApiServiceArgs": "kubernetes.service",
    "Flow": "planning.flows",
    "LoadBalancer": "planning.drain",
    "LocalPostgres": "kubernetes.postgres",
    "LocalPostgresArgs": "kubernetes.postgres",
    "MigrationJob": "kubernetes.migration",
    "MigrationJobArgs": "kubernetes.migration",
    "Peer": "planning.flows",
    "Placement": "planning.placement",
    "PlatformError": "planning.errors",
    "Probe": "planning.probes",
    "Probes": "planning.probes",
    "ProcessModel": "planning.process",
    "Resources": "planning.resources",
    "RestrictedNamespace": "kubernetes.namespace",
    "RestrictedNamespaceArgs": "kubernetes.namespace",
    "Rollout": "planning.scaling",
    "ScheduledJob": "kubernetes.scheduled_job",
    "ScheduledJobArgs": "kubernetes.scheduled_job",
    "SecretKey": "kubernetes.pod",
    "Server": "planning.process",
    "Toleration": "planning.placement",
}

__all__ = [
    "Autoscaling",
    "BackgroundWorker",
    "BackgroundWorkerArgs",
    "Environment",
    "FastApiService",
    "FastApiServiceArgs",
    "Flow",
    "LoadBalancer",
    "LocalPostgres",
    "LocalPostgresArgs",
    "MigrationJob",
    "MigrationJobArgs",
    "Peer",
    "Placement",
    "PlatformError",
    "Probe",
    "Probes",
    "ProcessModel",
    "Resources",
    "RestrictedNamespace",
    "RestrictedNamespaceArgs",
    "Rollout",
    "ScheduledJob",
    "ScheduledJobArgs",
    "SecretKey",
    "Server",
    "Toleration",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
