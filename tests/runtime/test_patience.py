"""Clients that take their time: how long the server waits for each, and whom it leaves alone."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fastapi_platform_runtime.drain import Drain
from fastapi_platform_runtime.patience import Patience, impatient
from fastapi_platform_runtime.server import LameDuck

pytestmark = pytest.mark.services
SHORT = Patience(request_head_seconds=0.4, stalled_seconds=0.4)
GENEROUS_SECONDS = 8.0
"""Far above the limits; what would last for ever fails here."""
LARGE_BYTES = 12_000_000
"""More than any kernel holds for a connection."""
HEAD = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n"


class Unsignalled(LameDuck):
    """Leaves the signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


class App:
    """Reads a body, answers with it; at `/endless` it sends until nobody takes it, at `/refused` it reads nothing."""

    def __init__(self, pause_seconds: float = 0) -> None:
        self.pause_seconds = pause_seconds
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        body, more = b"", scope["path"] != "/refused"
        await asyncio.sleep(self.pause_seconds)
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/large":
            await send({"type": "http.response.body", "body": bytes(LARGE_BYTES), "more_body": True})
        while scope["path"] == "/endless" and not self.left.is_set():
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), timeout=0.001)
                self.left.set()
        await send({"type": "http.response.body", "body": b"%d bytes" % len(body)})


@asynccontextmanager
async def serving(app: App, protocol: str, patience: Patience, **options: Any) -> AsyncGenerator[int]:
    config = Config(app, http=protocol, lifespan="off", log_config=None, port=0, **options)
    server = Unsignalled(config, 0, drain=Drain(), patience=patience)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, Any]]


def talk(conversation: Conversation, protocol: str, *, app: App | None = None, patience: Patience = SHORT,
         timeout_keep_alive: int = 60, ws: Any = "none") -> Any:
    """What a conversation with a server returns."""

    async def main() -> Any:
        async with serving(app or App(), protocol, patience, timeout_keep_alive=timeout_keep_alive, ws=ws) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                return await asyncio.wait_for(conversation(reader, writer), GENEROUS_SECONDS)
            finally:
                writer.transport.abort()

    return asyncio.run(main())


both = pytest.mark.parametrize("protocol", ["h11", "httptools"])


@both
def test_headers_that_arrive_one_by_one_for_ever_are_answered_with_408(protocol: str):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n")
        while not reader.at_eof():
            writer.write(b"X: 1\r\n")
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(reader.read(1024), timeout=0.05)
        return b""

    assert talk(drip, protocol).startswith(b"HTTP/1.1 408 ")


@both
def test_a_second_request_has_the_same_limit_as_the_first(protocol: str):
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"sesame")
        assert b"6 bytes" in await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(b"GET / HT")
        return await reader.read()

    assert talk(twice, protocol).startswith(b"HTTP/1.1 408 ")


@both
def test_a_body_that_stops_arriving_ends_the_connection_and_tells_the_application(protocol: str):
    app = App()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"ses")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await app.left.wait()
        return b"left"

    assert talk(stall, protocol, app=app) == b"left"


@both
def test_a_client_that_reads_nothing_is_cut_off_and_the_application_told(protocol: str):
    app = App()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
        await app.left.wait()
        return b"left"

    assert talk(deaf, protocol, app=app) == b"left"


@both
def test_a_client_that_reads_slowly_gets_all_of_a_large_answer(protocol: str):
    """Sent in one piece, so that the server writes from the beginning to the end; most of it stays in the kernel."""

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        read_bytes, started = 0, time.monotonic()
        while read_bytes < LARGE_BYTES and (more := await reader.read(65536)):
            read_bytes += len(more)
            # Three times as long as it may read nothing.
            await asyncio.sleep(0.05 if time.monotonic() - started < 3 else 0)
        return read_bytes

    assert talk(slowly, protocol, patience=Patience(stalled_seconds=1)) >= LARGE_BYTES


@both
def test_a_body_that_arrives_after_its_answer_leaves_the_connection_as_good_as_unused(protocol: str):
    """Its client may ask again at any time: a stray answer would be taken for the next request's."""

    async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD.replace(b"/", b"/refused", 1))
        assert b"0 bytes" in await reader.readuntil(b"\r\n0\r\n\r\n")
        for byte in b"sesame":  # Longer than a head may take,
            writer.write(bytes([byte]))
            await asyncio.sleep(0.15)
        await asyncio.sleep(0.8)  # and then nothing, for as long again.
        writer.write(HEAD + b"sesame")
        return await reader.readuntil(b"\r\n0\r\n\r\n")

    answer = talk(refused, protocol)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"6 bytes" in answer


@both
def test_such_a_connection_ends_like_an_unused_one_and_limits_its_next_head(protocol: str):
    async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD.replace(b"/", b"/refused", 1))
        await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(b"sesame")
        return await reader.read()

    async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD.replace(b"/", b"/refused", 1))
        await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(b"sesame" + b"GET / HT")
        return await reader.read()

    assert talk(refused, protocol, timeout_keep_alive=1) == b""
    assert talk(half_a_head, protocol).startswith(b"HTTP/1.1 408 ")


@both
def test_who_is_slow_but_within_the_limits_is_served(protocol: str):
    """Head and body arrive byte by byte, the body longer than any one limit; the application takes its time too."""

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for number, byte in enumerate(HEAD + b"sesame"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.3 if number >= len(HEAD) else 0)
        return await reader.readuntil(b"\r\n0\r\n\r\n")

    patience = Patience(request_head_seconds=1.5, stalled_seconds=1)
    started = time.monotonic()
    assert b"6 bytes" in talk(slowly, protocol, app=App(pause_seconds=1.6), patience=patience)
    assert time.monotonic() - started > 1.5


@both
def test_an_application_that_takes_its_time_with_a_large_body_is_not_its_clients_fault(protocol: str):
    """The server stops reading while nobody takes what it has read; nothing arrives then, however fast the client."""

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
        return await reader.readuntil(b"\r\n0\r\n\r\n")

    patience = Patience(request_head_seconds=1, stalled_seconds=1)
    assert b"300000 bytes" in talk(large, protocol, app=App(pause_seconds=2.5), patience=patience)


@both
def test_a_connection_that_waits_for_its_next_request_has_the_keep_alive_time(protocol: str):
    """The load balancer keeps connections open for minutes: a head's limit begins with the head."""

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        await asyncio.sleep(1)
        writer.write(HEAD + b"sesame")
        await reader.readuntil(b"\r\n0\r\n\r\n")
        await asyncio.sleep(1)
        writer.write(HEAD + b"sesame")
        return await reader.readuntil(b"\r\n0\r\n\r\n")

    assert b"6 bytes" in talk(later, protocol)


@both
def test_a_connection_on_which_nothing_is_ever_said_ends_like_an_unused_one(protocol: str):
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""

    assert talk(silent, protocol, timeout_keep_alive=1) == b""


class Echo(asyncio.Protocol):
    """Stands for a WebSocket."""

    def __init__(self, **_: Any) -> None:
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@both
def test_a_websocket_is_left_alone(protocol: str):
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"Upgrade: websocket\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1)
        writer.write(b"still here\n")
        return await reader.readuntil(b"\n")

    assert talk(upgrade, protocol, ws=Echo) == b"still here\n"


def test_uvicorns_protocols_still_have_the_names_that_are_looked_for():
    for protocol in (H11Protocol, HttpToolsProtocol):
        assert issubclass(impatient(protocol, SHORT), protocol)
        assert impatient(protocol, SHORT) is not protocol
    assert impatient(asyncio.Protocol, SHORT) is asyncio.Protocol
