"""The three questions a cluster asks a web process, each on its own terms.

Owns paths and timings. Deliberately demands that liveness and readiness differ: a liveness probe that asks the
database restarts every pod when the database hiccups.
Source: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from dataclasses import dataclass

from .errors import expect, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """How often one question is asked, and how many wrong answers count."""

    period_seconds: int
    """Seconds between two questions; at least 1."""
    failure_threshold: int
    """Wrong answers in a row before the cluster acts; at least 1."""
    timeout_seconds: int = 2
    """Seconds to wait for an answer; at most the period."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("period_seconds", self.period_seconds >= 1, want="1 second or more", why="Kubernetes refuses less"),
            expect("failure_threshold", self.failure_threshold >= 1, want="1 or more", why="Kubernetes refuses less"),
            expect(
                "timeout_seconds", 1 <= self.timeout_seconds <= max(self.period_seconds, 1),
                want=f"1 to {max(self.period_seconds, 1)} seconds (the period)",
                why="a longer wait overlaps the next question",
            ),
        )

    @property
    def budget_seconds(self) -> int:
        """Seconds of wrong answers before the cluster acts."""
        return self.period_seconds * self.failure_threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Probes:
    """Startup, readiness and liveness of a web process."""

    liveness_path: str = "/healthz/live"
    """Answers from the process alone; never touches a dependency."""
    readiness_path: str = "/healthz/ready"
    """Answers for the dependencies too, and says no while the process drains."""
    liveness: Probe = Probe(period_seconds=10, failure_threshold=3)
    """Restart after 30 s without an answer."""
    readiness: Probe = Probe(period_seconds=5, failure_threshold=3)
    """Out of the load balancer after 15 s."""
    startup: Probe = Probe(period_seconds=2, failure_threshold=30)
    """Asks the liveness path for up to 60 s; the other two wait for it."""

    def __post_init__(self) -> None:
        verify(
            self,
            *(
                expect(
                    field, getattr(self, field).startswith("/"), want="a path that starts with '/'",
                    why="the kubelet asks for a path on the pod", fix=f"Write {field}: /healthz/….",
                )
                for field in ("liveness_path", "readiness_path")
            ),
            expect(
                "readiness_path", self.readiness_path != self.liveness_path,
                want=f"another path than liveness_path ({self.liveness_path})",
                why="one path for both restarts every pod whenever a dependency fails",
                fix="Give readiness its own path, which checks the database; liveness checks nothing.",
            ),
        )
