"""The lame duck beside its control, and what answers make of a drain."""

import asyncio
import http.client
import time
from typing import Any

import pytest

from fastapi_platform_runtime.drain import Drain
from fastapi_platform_runtime.server import leaving
from tests.runtime.servers import OURS, PLAIN, ask, running

BOTH = ("--timeout-graceful-shutdown", "5", "--timeout-keep-alive", "30")


@pytest.mark.processes
def test_an_open_connection_is_told_to_leave_and_still_answered():
    with running(OURS, *BOTH, "--lame-duck", "1") as server:
        client = server.connect()
        assert ask(client, "/").getheader("Connection") == "keep-alive"
        server.tell()
        server.settle()
        answer = ask(client, "/")
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        assert server.end()[0] == 0


@pytest.mark.processes
def test_a_connection_of_the_last_moment_gets_its_answer():
    """Accepted, but not heard yet, when the listener closes: uvicorn would close it with the idle ones."""
    with running(OURS, *BOTH, "--lame-duck", "1") as server:
        waiting = server.connect()
        server.tell()
        waiting.connect()
        server.wait_until_closed()
        answer = ask(waiting, "/")
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        assert server.end()[0] == 0


@pytest.mark.processes
def test_plain_uvicorn_closes_an_open_connection_under_its_next_request():
    """The control: the reason for the lame duck, and the proof that these tests can fail."""
    with running(PLAIN, *BOTH) as server:
        client = server.connect()
        ask(client, "/")
        server.tell()
        time.sleep(0.5)
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(client, "/")


@pytest.mark.processes
@pytest.mark.parametrize(("module", "options", "passes_over"), [(OURS, ("--lame-duck", "0"), True), (PLAIN, (), False)])
def test_the_collector_passes_over_what_the_application_made_at_its_start(
    module: tuple[str, ...], options: tuple[str, ...], passes_over: bool
):
    with running(module, *options) as server:
        client = server.connect()
        client.request("GET", "/frozen")
        assert (int(client.getresponse().read()) > 1000) is passes_over


def answered(http_version: str, headers: list[tuple[bytes, bytes]], *, begun: bool) -> list[tuple[bytes, bytes]]:
    """Headers that leave the server for those that an application answers with."""
    sent: list[Any] = []
    drain = Drain()
    if begun:
        drain.begin()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def keep(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    async def main() -> None:
        await leaving(app, drain)({"type": "http", "http_version": http_version}, receive, keep)

    asyncio.run(main())
    return sent[0]["headers"]


def test_an_answer_says_close_once_and_keeps_its_other_headers():
    headers = [(b"Connection", b"keep-alive"), (b"x-id", b"1")]
    assert answered("1.1", headers, begun=True) == [(b"x-id", b"1"), (b"connection", b"close")]
    assert answered("1.1", headers, begun=False) == headers


def test_http_2_has_no_connection_header():
    assert answered("2", [(b"x-id", b"1")], begun=True) == [(b"x-id", b"1")]


def test_everybody_who_waits_is_woken_in_their_own_loop():
    drain = Drain()

    async def main() -> None:
        waiters = [asyncio.create_task(drain.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.to_thread(drain.begin)
        await asyncio.wait_for(asyncio.gather(*waiters), timeout=5)
        await asyncio.wait_for(drain.wait(), timeout=5)

    asyncio.run(main())
    assert drain.begun
