"""Which key of a stack file a finding is about.

Owns the way from a workload to its section. Deliberately names a key only where the project declares that section: in
another program it is called otherwise, and the object is named instead.
"""

from collections.abc import Collection
from dataclasses import dataclass

from fastapi_platform.planning.labels import COMPONENT
from fastapi_platform_policy.record import at, text

from .release import Release

_SECTIONS = {"api": "service", "migration": "migrations", "database": "database"}
_OF_THE_SERVICE = frozenset({"image", "placement"})
"""What workers, schedules and migrations take from the service."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The next step, for a stack."""

    stack: str
    file: str
    """Name of its file."""
    sections: Collection[str]
    """Keys that the project declares."""

    def key(self, release: Release, field: str) -> str:
        """Path of a field in the stack file; empty in a program of another shape."""
        component = text(at(release.workload.labels, COMPONENT))
        kind, _, name = component.partition("-")
        section = f"{kind}s.{name}" if kind in ("worker", "schedule") else _SECTIONS.get(component, "")
        if section and field.partition(".")[0] in _OF_THE_SERVICE and component != "database":
            section = "service"
        return f"{section}.{field}" if section.partition(".")[0] in self.sections else ""

    def change(self, release: Release, field: str, what: str) -> str:
        """Which key to change.

        Args:
            release: The workload.
            field: The argument below its section.
            what: The same in words, for other programs.
        """
        key = self.key(release, field)
        return f"{key} in {self.file}" if key else f"{what} of {release.name}"

    def command(self, release: Release, field: str, value: str, what: str) -> str:
        """How to change a key; in another program, what to change."""
        key = self.key(release, field)
        if not key:
            return f"Change the {what} of {release.name}."
        return f"pulumi config set --stack {self.stack} --path {key} {value}"
