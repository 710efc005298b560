r"""Whether this process is about to stop.

Owns that one fact and how code learns of it: `draining()` to ask, `wait_for_drain()` to wait, `until_drain()` to end a
stream. Deliberately does not decide when: the server does, at its first signal. One process serves one application, so
the fact belongs to the process.

    async for event in until_drain(broker.events()):
        yield f"data: {event}\n\n"
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, TypeVar

Item = TypeVar("Item")


class Drain:
    """A switch that is thrown once, from a signal handler or any thread, and wakes all who wait, in their own loops."""

    def __init__(self) -> None:
        self._begun = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def begun(self) -> bool:
        """Whether the process is draining."""
        return self._begun

    def begin(self) -> None:
        """Start draining; a second call changes nothing."""
        self._begun = True
        for waiter in tuple(self._waiting):
            # A loop that has ended has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    async def wait(self) -> None:
        """Return as soon as the process drains."""
        waiter = asyncio.get_running_loop().create_future()
        # Listed before the switch is read, or a signal between the two would be missed.
        self._waiting.add(waiter)
        try:
            if not self._begun:
                await waiter
        finally:
            self._waiting.discard(waiter)


PROCESS = Drain()
"""The switch of this process; `serve` throws it."""


def draining() -> bool:
    """Whether the process is about to stop: no new work that can wait, no new streams."""
    return PROCESS.begun


async def wait_for_drain() -> None:
    """Return as soon as the process drains."""
    await PROCESS.wait()


async def until_drain(source: AsyncIterable[Item], drain: Drain = PROCESS) -> AsyncGenerator[Item]:
    """Pass on what a stream yields until the process drains, then close the stream.

    The source is iterated by one task of its own, so it may hold timeouts and connections open between items; when
    this generator ends, however it ends, the source is cancelled where it waits.

    Args:
        source: The stream, such as the answer of a language model or the events of a broker.
        drain: The switch; the process's own unless a test says otherwise.

    Raises:
        Exception: Whatever the source raises.
    """
    items: asyncio.Queue[Item] = asyncio.Queue(maxsize=1)
    producer = asyncio.create_task(_produce(source, items))
    drained = asyncio.create_task(drain.wait())
    taken: asyncio.Task[Item] | None = None
    try:
        while not drained.done():
            taken = taken or asyncio.create_task(items.get())
            await asyncio.wait({taken, producer, drained}, return_when=asyncio.FIRST_COMPLETED)
            if taken.done():
                item, taken = taken.result(), None
                yield item
            elif producer.done() and items.empty():
                producer.result()  # Raises what the source raised.
                return
    finally:
        await _cancel(producer, drained, taken)


async def _produce(source: AsyncIterable[Item], items: asyncio.Queue[Item]) -> None:
    iterator = aiter(source)
    try:
        async for item in iterator:
            await items.put(item)
    finally:
        # Cancelled while it hands an item over, a generator would stay open until the garbage collector finds it.
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def _cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks once and wait for their ends, however often the waiting one is cancelled meanwhile.

    anyio, and so Starlette when a client leaves, repeats a cancellation until its task has ended; passed on, it would
    interrupt every step with which a source cleans up.
    """
    pending = {task for task in tasks if task is not None}
    for task in pending:
        task.add_done_callback(_retrieve)
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while pending := {task for task in pending if not task.done()}:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled


def _retrieve(task: asyncio.Task[Any]) -> None:
    """What a source raises when nobody takes its items any more is nobody's problem."""
    if not task.cancelled():
        task.exception()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
