"""What one container may use.

Owns requests and limits. Memory's limit is its request unless a stack says otherwise, so that a pod is never killed
for memory that the scheduler had promised to somebody else. Deliberately does not guess what a service needs.
Source: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from dataclasses import dataclass

from . import quantities
from .errors import Expectation, expect, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """CPU, memory and disk of one container."""

    cpu: str = "250m"
    """CPU request, a quantity of cores; what the autoscaler's percentage is a percentage of."""
    cpu_limit: str | None = None
    """CPU limit, a quantity of cores; none by default, because throttling shows up as latency without a cause."""
    ephemeral_storage: str = "256Mi"
    """Request and limit for logs and scratch files, a quantity of bytes; beyond it the pod is evicted."""
    memory: str = "256Mi"
    """Memory request and limit, a quantity of bytes."""
    memory_limit: str | None = None
    """Only to let a container burst above its request; none means the request."""

    def __post_init__(self) -> None:
        verify(
            self,
            quantities.expectation("cpu", self.cpu, "250m"),
            quantities.expectation("memory", self.memory, "256Mi"),
            quantities.expectation("ephemeral_storage", self.ephemeral_storage, "256Mi"),
            *_limit("memory_limit", self.memory_limit, request=self.memory, example="512Mi"),
            *_limit("cpu_limit", self.cpu_limit, request=self.cpu, example="500m"),
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


def scratch_expectation(tmp_size: str, resources: Resources) -> Expectation:
    """That `/tmp` fits into the disk that the container may use: Kubernetes counts one within the other."""
    return expect(
        "tmp_size", quantities.at_most(tmp_size, resources.ephemeral_storage),
        want=f"{resources.ephemeral_storage} or less (resources.ephemeral_storage)",
        why="a pod that fills its /tmp would be evicted before it has used the size it was promised",
        fix="Lower tmp_size, or raise resources.ephemeral_storage.",
    )


def _limit(field: str, limit: str | None, *, request: str, example: str) -> tuple[Expectation, ...]:
    if limit is None:
        return ()
    enough = expect(
        field, quantities.at_most(request, limit), want=f"{request} or more",
        why="a limit below the request is refused by Kubernetes", fix=f"Raise {field}, or leave it out.",
    )
    return (quantities.expectation(field, limit, example), enough)
