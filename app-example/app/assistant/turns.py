"""Turns with the model.

Owns how many calls of the model run at the same time in this process, and who waits for how long: first come, first
served, a bounded queue, a bounded wait. Deliberately knows nothing of other processes: the setting times processes
times pods must fit the model's quota.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class BusyError(Exception):
    """There is no turn to be had soon."""

    def __init__(self, retry_after_seconds: float) -> None:
        """Take when it makes sense to ask again."""
        super().__init__("all turns are taken")
        self.retry_after_seconds = retry_after_seconds


class Turns:
    """The turns of one process."""

    def __init__(self, limit: int, *, queue: int, queue_seconds: float) -> None:
        """Take the number of turns, how many callers wait for one, and how long each of them waits."""
        self._limit = limit
        self._queue = queue
        self._queue_seconds = queue_seconds
        # Serves its waiters in their order.
        self._free = asyncio.Semaphore(limit)
        self._in_use = 0
        self._waiting = 0

    @property
    def in_use(self) -> int:
        """Calls that run."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Callers that wait for their turn."""
        return self._waiting

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Give a turn for as long as the context lasts.

        Raises:
            BusyError: Too many wait already, or the wait was too long.
        """
        await self._wait()
        self._in_use += 1
        try:
            yield
        finally:
            self._in_use -= 1
            self._free.release()

    async def _wait(self) -> None:
        if self._free.locked() and self._waiting >= self._queue:
            raise BusyError(self._queue_seconds)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise BusyError(self._queue_seconds) from None
        finally:
            self._waiting -= 1
