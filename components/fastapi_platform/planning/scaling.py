"""How many pods there may be, and how fast that changes.

Owns the autoscaler's bounds and the rollout's surge. Deliberately never yields a fixed replica count for what an
autoscaler owns: two owners of one number fight at every deploy.
Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from dataclasses import dataclass

from .environment import Environment
from .errors import Expectation, expect, verify
from .probes import Probe


@dataclass(frozen=True, kw_only=True, slots=True)
class Autoscaling:
    """Bounds and target of a horizontal pod autoscaler."""

    max_replicas: int = 10
    """Most pods, rollout surge not counted; together they must fit the connections of the database."""
    min_replicas: int = 2
    """Fewest pods; 2 or more in production."""
    scale_down_window_seconds: int = 300
    """Seconds of calm before pods are taken away; 0 to 3600."""
    target_cpu_percent: int = 65
    """Average CPU, in percent of the request, that the autoscaler aims for."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("min_replicas", self.min_replicas >= 1, want="1 or more",
                   why="a service without a pod serves nobody"),
            expect(
                "max_replicas", self.max_replicas > self.min_replicas,
                want=f"more than min_replicas ({self.min_replicas})",
                why="an autoscaler without room between its bounds never scales",
            ),
            expect(
                "target_cpu_percent", 10 <= self.target_cpu_percent <= 95, want="10 to 95 percent",
                why="outside it the autoscaler either never rests or acts too late",
            ),
            expect(
                "scale_down_window_seconds", 0 <= self.scale_down_window_seconds <= 3600, want="0 to 3600 seconds",
                why="Kubernetes refuses other values",
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How a new release replaces the old one. No old pod goes before a new one is ready."""

    min_ready_seconds: int = 5
    """Seconds a new pod must stay ready before it counts."""
    progress_deadline_seconds: int = 300
    """Seconds without progress after which the rollout counts as failed."""
    revision_history_limit: int = 5
    """Old ReplicaSets kept for `kubectl rollout history`."""
    surge_percent: int = 25
    """Extra pods during a rollout, in percent of the replicas, rounded up; 1 to 100."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("min_ready_seconds", self.min_ready_seconds >= 0, want="0 seconds or more", why="time runs forward"),
            expect(
                "progress_deadline_seconds", self.progress_deadline_seconds > self.min_ready_seconds,
                want=f"more than min_ready_seconds ({self.min_ready_seconds})", why="Kubernetes refuses less",
            ),
            expect("revision_history_limit", self.revision_history_limit >= 1, want="1 or more",
                   why="nothing could be looked up after a bad release"),
            expect("surge_percent", 1 <= self.surge_percent <= 100, want="1 to 100 percent",
                   why="without a surge nothing new can start while nothing old may stop"),
        )


def replica_expectation(field: str, replicas: int, environment: Environment) -> Expectation:
    """That an environment's promise survives the loss of one pod."""
    if not environment.needs_two_replicas:
        return expect(field, replicas >= 1, got=f"{replicas}", want="1 or more", why="nothing would run")
    return expect(
        field, replicas >= 2, got=f"{replicas}", want="2 or more",
        why=f"a {environment} stack with one pod is down at every node upgrade",
    )


def startup_expectation(rollout: Rollout, startup: Probe) -> Expectation:
    """That a rollout waits for a pod at least as long as its startup probe does."""
    slowest = startup.budget_seconds + rollout.min_ready_seconds
    return expect(
        "rollout.progress_deadline_seconds", rollout.progress_deadline_seconds > slowest,
        got=f"{rollout.progress_deadline_seconds} seconds",
        want=f"more than {slowest} seconds (what probes.startup allows, and rollout.min_ready_seconds)",
        why="a rollout whose pods may still be starting would be given up",
    )
