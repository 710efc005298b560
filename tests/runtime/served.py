"""The application that the tests serve: plain ASGI, so that a process starts at once."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from fastapi_platform_runtime.drain import draining, until_drain

Send = Callable[[dict[str, Any]], Awaitable[None]]


def create_app() -> Callable[..., Awaitable[None]]:
    return app


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path, _, argument = scope["path"].strip("/").partition("/")
    if path == "slow":
        await asyncio.sleep(float(argument))
    if path == "block":
        os.kill(os.getpid(), 9)
    if path == "stream":
        await _start(send, 200)
        async with contextlib.aclosing(until_drain(_ticks())) as ticks:
            async for tick in ticks:
                await send({"type": "http.response.body", "body": tick, "more_body": True})
        await send({"type": "http.response.body", "body": b"bye"})
        return
    body = str(gc.get_freeze_count() if path == "frozen" else os.getpid()).encode()
    await _start(send, 503 if path == "ready" and draining() else 200, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    keep = (b"Connection", b"keep-alive")
    await send({"type": "http.response.start", "status": status, "headers": [keep, *headers]})


async def _ticks() -> AsyncGenerator[bytes]:
    while True:
        yield b"tick "
        await asyncio.sleep(0.05)


async def _lifespan(receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    await receive()
    await asyncio.sleep(float(os.environ.get("STARTUP_SECONDS", "0")))
    if _is_away():
        await send({"type": "lifespan.startup.failed", "message": "what it needs is away"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("closed its pools", flush=True)  # noqa: T201 the parent reads it
    await send({"type": "lifespan.shutdown.complete"})


def _is_away() -> bool:
    """Whether a dependency is: while a file is there, or for all but the first process that makes one."""
    if (first := os.environ.get("ONLY_ONE_STARTS")) is not None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(first, os.O_CREAT | os.O_EXCL))
            return False
        return True
    return os.path.exists(os.environ.get("AWAY_WHILE_THERE_IS", ""))
