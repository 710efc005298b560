"""The three promises a stack can make, in one place.

Owns what an environment demands. Deliberately knows no stack name: a stack file says which promise it makes, and
nothing compares it with the name of the file.
"""

from enum import StrEnum


class Environment(StrEnum):
    """What a stack promises its users; every demand is a property here and nowhere else."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    PRODUCTION = "production"

    @property
    def needs_digests(self) -> bool:
        """Images must be pinned by digest: a tag can be moved to other code after the review."""
        return self is not Environment.LOCAL

    @property
    def needs_two_replicas(self) -> bool:
        """One pod is an outage at every node upgrade."""
        return self is Environment.PRODUCTION

    @property
    def allows_throwaway_database(self) -> bool:
        """A database without backups is acceptable only where its loss costs nothing."""
        return self is Environment.LOCAL
