"""How much of something one caller may have at the same time.

Owns counting, in one process. What is scarce is bounded for all together where it is given out; this keeps a single
account from taking all of it. Deliberately not a rate: somebody who does one thing after the other is never refused.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from uuid import UUID


class ShareExceededError(Exception):
    """The caller has as much as one may have."""


class Shares:
    """What each caller of one process has now."""

    def __init__(self, most: int) -> None:
        """Take how much one caller may have."""
        self._most = most
        self._taken = Counter[UUID]()

    @contextmanager
    def taken(self, caller: UUID) -> Generator[None]:
        """Give a share for as long as the context lasts.

        Raises:
            ShareExceededError: It would be one too many.
        """
        if self._taken[caller] >= self._most:
            raise ShareExceededError
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
