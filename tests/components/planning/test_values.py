"""Value types of the planning room: what each refuses, at the edge."""

from typing import Any

import pytest

from fastapi_platform.planning import ports, resources, scaling
from fastapi_platform.planning.environment import Environment
from fastapi_platform.planning.errors import PlatformError
from fastapi_platform.planning.flows import Flow, Peer
from fastapi_platform.planning.placement import Toleration
from fastapi_platform.planning.probes import Probe, Probes
from fastapi_platform.planning.process import ProcessModel
from fastapi_platform.planning.resources import Resources
from fastapi_platform.planning.scaling import Autoscaling, Rollout


@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        (Resources, {"memory": "256Mi", "memory_limit": "255Mi"}, "memory_limit"),
        (Resources, {"cpu": "250m", "cpu_limit": "0.2"}, "cpu_limit"),
        (Resources, {"cpu": "a lot"}, "cpu"),
        (Resources, {"cpu_limit": "two"}, "cpu_limit"),
        (Resources, {"memory_limit": "lots"}, "memory_limit"),
        (Resources, {"memory": "1 Gi"}, "memory"),
        (Resources, {"ephemeral_storage": "0"}, "ephemeral_storage"),
        (Probe, {"period_seconds": 0, "failure_threshold": 1, "timeout_seconds": 1}, "period_seconds"),
        (Probe, {"period_seconds": 1, "failure_threshold": 0, "timeout_seconds": 1}, "failure_threshold"),
        (Probe, {"period_seconds": 5, "failure_threshold": 1, "timeout_seconds": 6}, "timeout_seconds"),
        (Probes, {"readiness_path": "/healthz/live"}, "readiness_path"),
        (Probes, {"liveness_path": "healthz"}, "liveness_path"),
        (Autoscaling, {"min_replicas": 5, "max_replicas": 3}, "max_replicas"),
        (Autoscaling, {"min_replicas": 3, "max_replicas": 3}, "max_replicas"),
        (Autoscaling, {"min_replicas": 0}, "min_replicas"),
        (Autoscaling, {"target_cpu_percent": 100}, "target_cpu_percent"),
        (Autoscaling, {"scale_down_window_seconds": 3601}, "scale_down_window_seconds"),
        (Rollout, {"surge_percent": 0}, "surge_percent"),
        (Rollout, {"progress_deadline_seconds": 5}, "progress_deadline_seconds"),
        (Rollout, {"revision_history_limit": 0}, "revision_history_limit"),
        (ProcessModel, {"app": "app.main"}, "app"),
        (ProcessModel, {"app": "app/main.py:app"}, "app"),
        (ProcessModel, {"workers": 0}, "workers"),
        (ProcessModel, {"backlog": 63}, "backlog"),
        (ProcessModel, {"concurrency_limit": 0}, "concurrency_limit"),
        (ProcessModel, {"trusted_proxies": ("*",)}, "trusted_proxies"),
        (ProcessModel, {"trusted_proxies": ("10.0.0.0/8", "0.0.0.0/0")}, "trusted_proxies"),
        (ProcessModel, {"trusted_proxies": ("nginx",)}, "trusted_proxies"),
        (ProcessModel, {"graceful_timeout_seconds": 0}, "graceful_timeout_seconds"),
        (ProcessModel, {"keep_alive_seconds": 0}, "keep_alive_seconds"),
        (ProcessModel, {"lame_duck_seconds": -1}, "lame_duck_seconds"),
        (Peer, {"cidr": "10.0.0.1/8"}, "cidr"),
        (Peer, {"cidr": "10.0.0.1"}, "cidr"),
        (Toleration, {"key": ""}, "key"),
        (Toleration, {"key": "spot", "effect": "Never"}, "effect"),
        (Peer, {"cidr": "10.0.0.0/8", "namespace": "kube-system"}, "cidr"),
        (Flow, {"peer": Peer(), "ports": ()}, "ports"),
        (Flow, {"peer": Peer(), "ports": (80, 80)}, "ports"),
        (Flow, {"peer": Peer(), "ports": (65536,)}, "ports"),
        (Flow, {"peer": Peer(), "ports": (53,), "protocol": "SCTP"}, "protocol"),
    ],
)
def test_a_value_beyond_the_edge_is_refused_by_name(kind: type[Any], arguments: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"^{kind.__name__}\.{field}: got "):
        kind(**arguments)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Resources, {"memory_limit": "256Mi", "cpu_limit": "0.25"}),
        (Probe, {"period_seconds": 1, "failure_threshold": 1, "timeout_seconds": 1}),
        (Autoscaling, {"min_replicas": 1, "max_replicas": 2}),
        (Rollout, {"surge_percent": 100, "min_ready_seconds": 0, "progress_deadline_seconds": 1}),
        (ProcessModel, {"trusted_proxies": ("10.0.0.1", "fd00::/8")}),
        (Toleration, {"key": "spot"}),
        (ProcessModel, {"app": "a:b", "workers": 64, "backlog": 64, "concurrency_limit": 1, "lame_duck_seconds": 0}),
        (Flow, {"peer": Peer(cidr="::/0"), "ports": (1, 65535), "protocol": "UDP"}),
    ],
)
def test_a_value_at_the_edge_is_accepted(kind: type[Any], arguments: dict[str, Any]):
    kind(**arguments)


def test_the_memory_limit_is_the_request_and_there_is_no_cpu_limit_unless_chosen():
    assert Resources(memory="1Gi").limits == {"memory": "1Gi", "ephemeral-storage": "256Mi"}
    assert Resources(cpu_limit="1").limits["cpu"] == "1"
    assert Resources(memory_limit="1Gi").limits["memory"] == "1Gi"


def test_a_probes_budget_is_what_it_takes_to_act():
    assert Probes().startup.budget_seconds == 60


def test_a_rollout_waits_as_long_as_a_pod_may_take_to_start():
    """A rollout that gives up first fails every release of a slow image."""
    slow = Probe(period_seconds=10, failure_threshold=30)
    assert not scaling.startup_expectation(Rollout(), slow).holds
    assert scaling.startup_expectation(Rollout(progress_deadline_seconds=306), slow).holds


def test_tmp_fits_into_the_disk_that_the_container_may_use():
    assert not resources.scratch_expectation("10Gi", Resources()).holds
    assert resources.scratch_expectation("256Mi", Resources()).holds


@pytest.mark.parametrize("environment", list(Environment))
def test_no_pod_at_all_is_refused_everywhere(environment: Environment):
    assert not scaling.replica_expectation("replicas", 0, environment).holds


@pytest.mark.parametrize(
    ("environment", "accepted"), [(Environment.PRODUCTION, False), (Environment.DEVELOPMENT, True)]
)
def test_one_replica_is_refused_in_production_only(environment: Environment, accepted: bool):
    assert scaling.replica_expectation("min_replicas", 1, environment).holds is accepted
    assert scaling.replica_expectation("min_replicas", 2, environment).holds


@pytest.mark.parametrize(
    ("given_ports", "refused"),
    [
        ({"port": 8000, "metrics_port": 9000}, []),
        ({"port": 8000, "metrics_port": None}, []),
        ({"port": 8000, "metrics_port": 8000}, ["port"]),
        ({"port": 80}, ["port"]),
        ({"port": 65536}, ["port"]),
    ],
)
def test_ports_are_unprivileged_and_used_once(given_ports: dict[str, int | None], refused: list[str]):
    assert [each.field for each in ports.expectations(**given_ports) if not each.holds] == refused
