"""Where the pods of a workload run, and what their nodes need to fetch the image.

Owns the choice of nodes. Deliberately has no affinity between pods: the spread over zones and hosts is the platform's.
Source: https://kubernetes.io/docs/concepts/scheduling-eviction/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import expect, verify

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
"""What a taint does to pods that do not tolerate it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Toleration:
    """A taint of nodes that the pods accept."""

    key: str
    """Key of the taint."""
    effect: str | None = None
    """NoSchedule, PreferNoSchedule or NoExecute; none means all of them."""
    value: str | None = None
    """Value of the taint; none means any."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("key", bool(self.key), want="the key of a taint", why="without one, every taint would be accepted"),
            expect("effect", self.effect is None or self.effect in EFFECTS, want=", ".join(EFFECTS),
                   why="Kubernetes knows no other"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What the nodes of a workload must be, and the credentials they pull the image with."""

    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with registry credentials; none when the nodes may pull by themselves."""
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have."""
    priority_class: str | None = None
    """Name of a PriorityClass; none means the cluster's default."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints of nodes that the pods accept."""
