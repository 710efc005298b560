"""What stands between the service and another program, and holds back what the test wants to be lost."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.support import listening

Gate = Callable[[object, bytes], Awaitable[None]]
"""Is asked before a part of a conversation is passed on, and returns when it may be."""


@asynccontextmanager
async def between(behind: int, *, there: Gate, back: Gate) -> AsyncGenerator[int]:
    """Give a port that leads to another as the two gates allow: to it, and back from it."""

    async def pass_on(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, gate: Gate, conversation: object
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await source.read(65_536):
                await gate(conversation, chunk)
                target.write(chunk)
                await target.drain()
        target.close()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection("127.0.0.1", behind)
        conversation = object()
        await asyncio.gather(
            pass_on(reader, its_writer, there, conversation), pass_on(its_reader, writer, back, conversation)
        )

    async with listening(converse) as port:
        yield port


@asynccontextmanager
async def interrupted_at_will(behind: int) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """Give a port that leads to another while an event is set, and holds everything back while it is not."""
    passing = asyncio.Event()
    passing.set()

    async def gate(_conversation: object, _chunk: bytes) -> None:
        await passing.wait()

    async with between(behind, there=gate, back=gate) as port:
        yield port, passing


@asynccontextmanager
async def silent_from_commit_on(behind: int, of: bytes) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """Give a port that leads to Postgres, and an event that is set when the commit of a statement went there.

    The answer to that commit never comes back, as when the network or the server dies in this moment.
    """
    committed, ended = asyncio.Event(), asyncio.Event()
    begun: set[object] = set()

    async def there(conversation: object, chunk: bytes) -> None:
        if of in chunk:
            begun.add(conversation)
        elif conversation in begun and b"COMMIT" in chunk:
            committed.set()

    async def back(_conversation: object, _chunk: bytes) -> None:
        if committed.is_set():
            await ended.wait()

    async with between(behind, there=there, back=back) as port:
        try:
            yield port, committed
        finally:
            ended.set()
