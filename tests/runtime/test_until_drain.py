"""Streams that end when the process drains, or when nobody listens any more."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from fastapi_platform_runtime.drain import Drain, until_drain


async def _collect(source: AsyncGenerator[int], drain: Drain, begin_after: int | None) -> list[int]:
    seen: list[int] = []
    async for item in until_drain(source, drain):
        seen.append(item)
        if len(seen) == begin_after:
            drain.begin()
    return seen


def test_a_stream_that_waits_is_ended_and_cleaned_up():
    ended: list[str] = []

    async def source() -> AsyncGenerator[int]:
        try:
            async with asyncio.timeout(60):
                yield 1
                await asyncio.sleep(60)
        finally:
            ended.append("closed")

    began = time.monotonic()
    assert asyncio.run(_collect(source(), Drain(), begin_after=1)) == [1]
    assert time.monotonic() - began < 5
    assert ended == ["closed"]


def test_a_stream_without_a_drain_arrives_whole():
    async def source() -> AsyncGenerator[int]:
        for number in range(50):
            yield number

    assert asyncio.run(_collect(source(), Drain(), begin_after=None)) == list(range(50))


def test_what_a_stream_raises_arrives_after_its_last_item():
    async def source() -> AsyncGenerator[int]:
        yield 1
        raise ValueError("upstream")

    async def main() -> None:
        stream = until_drain(source(), Drain())
        assert await anext(stream) == 1
        with pytest.raises(ValueError, match="upstream"):
            await anext(stream)

    asyncio.run(main())


def test_a_client_that_leaves_lets_its_source_clean_up():
    """Starlette repeats its cancellation in every turn of the loop until the stream has ended."""
    steps: list[str] = []
    left = asyncio.Event()

    async def source() -> AsyncGenerator[str]:
        try:
            yield "first"
            await asyncio.sleep(60)
        finally:
            for step in ("told the model", "closed the connection"):
                await asyncio.sleep(0.05)
                steps.append(step)

    async def receive() -> dict[str, str]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            left.set()

    async def main() -> None:
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        await asyncio.wait_for(StreamingResponse(until_drain(source(), Drain()))(scope, receive, send), timeout=30)
        steps.append("the response ended")

    asyncio.run(main())
    assert steps == ["told the model", "closed the connection", "the response ended"]


def test_a_cancellation_of_the_sources_own_making_ends_the_stream():
    """A client library's inner task was cancelled, say: the stream is over, and nobody may wait for more of it."""

    async def source() -> AsyncGenerator[int]:
        yield 1
        raise asyncio.CancelledError

    async def main() -> None:
        stream = until_drain(source(), Drain())
        assert await anext(stream) == 1
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(anext(stream), timeout=30)

    asyncio.run(main())


def test_what_a_source_raises_after_the_drain_began_is_nobodys(caplog: pytest.LogCaptureFixture):
    drain = Drain()

    async def source() -> AsyncGenerator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            raise ValueError("upstream")

    assert asyncio.run(_collect(source(), drain, begin_after=1)) == [1]
    gc.collect()
    assert caplog.records == []
