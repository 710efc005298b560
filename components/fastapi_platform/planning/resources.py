"""What one container may use.

Owns requests and limits. Memory's limit is its request unless a stack says otherwise, so that a pod is never killed
for memory that the scheduler had promised to somebody else. Deliberately does not guess what a service needs.
Source: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from dataclasses import dataclass

from . import quantities
from .errors import expect, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """CPU, memory and disk of one container."""

    cpu: str = "250m"
    """CPU request, a quantity of cores; what the autoscaler's percentage is a percentage of."""
    memory: str = "256Mi"
    """Memory request and limit, a quantity of bytes."""
    cpu_limit: str | None = None
    """CPU limit, a quantity of cores; none by default, because throttling shows up as latency without a cause."""
    ephemeral_storage: str = "256Mi"
    """Request and limit for logs and scratch files, a quantity of bytes; beyond it the pod is evicted."""
    memory_limit: str | None = None
    """Only to let a container burst above its request; none means the request."""

    def __post_init__(self) -> None:
        memory_limit = self.memory if self.memory_limit is None else self.memory_limit
        cpu_limit = self.cpu if self.cpu_limit is None else self.cpu_limit
        verify(
            self,
            quantities.expectation("cpu", self.cpu, "250m"),
            quantities.expectation("memory", self.memory, "256Mi"),
            quantities.expectation("ephemeral_storage", self.ephemeral_storage, "256Mi"),
            expect(
                "memory_limit", quantities.at_most(self.memory, memory_limit), want=f"{self.memory} or more",
                why="a limit below the request is refused by Kubernetes",
                fix="Raise memory_limit, or leave it out: the request is then the limit.",
            ),
            expect(
                "cpu_limit", quantities.at_most(self.cpu, cpu_limit), want=f"{self.cpu} or more",
                why="a limit below the request is refused by Kubernetes", fix="Raise cpu_limit, or leave it out.",
            ),
        )

    @property
    def requests(self) -> dict[str, str]:
        """Quantities by resource name."""
        return {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.ephemeral_storage}

    @property
    def limits(self) -> dict[str, str]:
        """Quantities by resource name; CPU only when a limit was chosen."""
        memory = self.memory if self.memory_limit is None else self.memory_limit
        limits = {"memory": memory, "ephemeral-storage": self.ephemeral_storage}
        return limits | ({} if self.cpu_limit is None else {"cpu": self.cpu_limit})
