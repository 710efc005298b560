"""Servers in the test's own loop, for what only a real connection shows: pieces, pauses, clients that leave."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.assistant.turns import Turns
from app.main import create_app
from app.settings import Settings
from tests.support import signed_in

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATH = "/v1/assistant/replies"
QUESTION = {"messages": [{"role": "user", "content": "Where is my order?"}]}


class Upstream:
    """Answers each request in turn with what it was given, the last one for ever, and counts. Empty: it hangs up."""

    def __init__(self, *answers: bytes, drip: bytes = b"", stalls: bool = False) -> None:
        """Take the answers; one that stalls stays open behind its first, and says its drip again and again."""
        self._answers = answers
        self._drip = drip
        self._stalls = stalls
        self.connections = 0
        self.requests: list[bytes] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Converse with one client until it leaves."""
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
                if not answer and not self._stalls:
                    return
                writer.write(answer)
                left = asyncio.create_task(reader.read(1)) if self._stalls else None
                while left and not left.done():
                    writer.write(self._drip)
                    await asyncio.wait({left}, timeout=0.05)
        except (asyncio.IncompleteReadError, ConnectionError):
            return


class _Server(uvicorn.Server):
    """Leaves the signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def listening_app(app: ASGIApp) -> AsyncGenerator[uvicorn.Server]:
    """Serve an application on a free loopback port; its address is `base_url(server)`."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or serving.done())
        yield server
    finally:
        server.should_exit = True
        await serving


def base_url(server: uvicorn.Server) -> str:
    """Return where a server listens."""
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


async def until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Live:
    """A service that really listens, and somebody who is signed in to it."""

    client: httpx.AsyncClient
    server: uvicorn.Server
    app: FastAPI
    settings: Settings
    turns: Turns

    @asynccontextmanager
    async def asking(self, body: Any = QUESTION, *, as_another: bool = False) -> AsyncGenerator[httpx.Response]:
        """Ask the assistant and give its answer as it comes; as another, as a user who has asked nothing yet."""
        headers = signed_in(self.settings) if as_another else {}
        async with self.client.stream("POST", PATH, json=body, headers=headers) as response:
            yield response


@asynccontextmanager
async def live(settings: Settings) -> AsyncGenerator[Live]:
    """Serve the application, and give a client that is signed in."""
    app = create_app(settings)
    limits = httpx.Limits(max_connections=None)
    async with listening_app(app) as server:
        turns: Turns = server.lifespan.state["assistant"].turns
        async with httpx.AsyncClient(
            base_url=base_url(server), headers=signed_in(settings), limits=limits, timeout=10, trust_env=False
        ) as client:
            yield Live(client, server, app, settings, turns)


async def events(response: httpx.Response) -> AsyncGenerator[tuple[str, Any]]:
    """Give each event's name and data; a comment is `("comment", text)`."""
    name = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        if line.startswith(":"):
            yield "comment", value.strip()
        elif field == "event":
            name = value.strip()
        elif field == "data":
            yield name, json.loads(value)


async def all_events(response: httpx.Response) -> list[tuple[str, Any]]:
    """Give the events to the end of a stream that ends properly."""
    async with aclosing(events(response)) as found:
        return [event async for event in found]
