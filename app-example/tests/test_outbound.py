"""Calls of other services that never accept, never answer, stall, break off or say "not now"."""

import logging
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from email.utils import formatdate

import pytest

from app.main import create_app
from app.outbound import ATTEMPTS, RESPONSE_MAX_BYTES, Outbound, Reason, UpstreamUnavailableError, open_outbound
from tests.live import OK, Upstream
from tests.support import Conversation, listening, valid_settings

LIMITS = {"outbound_connect_seconds": 0.2, "outbound_read_seconds": 0.3}
LONGEST_SECONDS = 5.0
"""Far above the limits, far below what an unlimited call takes."""


def status(code: int, *headers: str) -> bytes:
    """Write an answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {code} Text", "Content-Length: 0", *headers, "", ""]).encode()


@asynccontextmanager
async def calling(converse: Conversation, **overrides: object) -> AsyncGenerator[tuple[Outbound, str]]:
    """Give a client and the address of a service that converses."""
    async with listening(converse) as port, open_outbound(valid_settings(**{**LIMITS, **overrides})) as outbound:
        yield outbound, f"http://127.0.0.1:{port}/"


async def failure(outbound: Outbound, url: str, method: str = "GET") -> tuple[Reason, float]:
    """Call, and return why it failed and after how long."""
    started = time.monotonic()
    with pytest.raises(UpstreamUnavailableError) as caught:
        await outbound.call("stub", method, url)
    return caught.value.reason, time.monotonic() - started


@pytest.mark.control("outbound-timeouts")
async def test_a_service_that_never_accepts_is_given_up() -> None:
    """A full backlog drops the handshake, as a firewall does."""
    with socket.socket() as listener, ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with open_outbound(valid_settings(outbound_connect_seconds=0.2)) as outbound:
            reason, seconds = await failure(outbound, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    assert reason is Reason.UNREACHABLE
    assert ATTEMPTS * 0.2 <= seconds < LONGEST_SECONDS


@pytest.mark.control("outbound-timeouts")
@pytest.mark.parametrize(
    "begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_a_service_that_is_silent_or_stalls_is_given_up_after_one_try(begins: bytes) -> None:
    """It may still be at work on the first call: a second one would double that."""
    upstream = Upstream(begins, stalls=True)
    async with calling(upstream.converse) as (outbound, url):
        reason, seconds = await failure(outbound, url)
        assert (reason, len(upstream.requests)) == (Reason.TIMEOUT, 1)
        assert 0.25 <= seconds < LONGEST_SECONDS


@pytest.mark.control("outbound-timeouts")
async def test_a_service_that_drips_is_given_up_at_the_deadline() -> None:
    """Never silent for long enough, it would otherwise hold its caller for ever."""
    upstream = Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", drip=b"x", stalls=True)
    async with calling(upstream.converse) as (outbound, url):
        reason, seconds = await failure(outbound, url)
    assert reason is Reason.TIMEOUT
    assert 2 * (0.2 + 0.3) <= seconds < LONGEST_SECONDS


@pytest.mark.control("outbound-timeouts")
async def test_a_stream_that_stalls_is_given_up() -> None:
    upstream = Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", stalls=True)
    async with calling(upstream.converse) as (outbound, url), outbound.stream("stub", "POST", url) as chunks:
        assert await anext(chunks) == b"half"
        with pytest.raises(UpstreamUnavailableError) as caught:
            await anext(chunks)
    assert caught.value.reason is Reason.TIMEOUT


@pytest.mark.control("retries-idempotent-only")
@pytest.mark.parametrize("fault", [status(502), status(503), status(504), status(429), b""])
async def test_what_fails_once_is_called_again_where_that_is_safe(fault: bytes) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        upstream = Upstream(fault, status(200))
        async with calling(upstream.converse) as (outbound, url):
            assert (await outbound.call("stub", method, url)).status_code == 200
        assert len(upstream.requests) == 2


@pytest.mark.control("retries-idempotent-only")
@pytest.mark.parametrize("fault", [status(502), status(503), status(504), status(429), b""])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_is_not_safe_to_repeat_is_called_once(method: str, fault: bytes) -> None:
    upstream = Upstream(fault, OK)
    async with calling(upstream.converse) as (outbound, url):
        await failure(outbound, url, method)
    assert len(upstream.requests) == 1


@pytest.mark.control("retries-idempotent-only")
async def test_a_key_makes_a_call_safe_to_repeat_and_is_the_same_each_time() -> None:
    upstream = Upstream(status(503), OK)
    async with calling(upstream.converse) as (outbound, url):
        answer = await outbound.call("stub", "POST", url, content=b"{}", headers={"Idempotency-Key": "export-1"})
    assert answer.content == b"ok"
    assert ["idempotency-key: export-1" in request.decode().lower() for request in upstream.requests] == [True, True]


@pytest.mark.control("retries-idempotent-only")
async def test_repetitions_are_bounded() -> None:
    upstream = Upstream(status(503))
    async with calling(upstream.converse) as (outbound, url):
        assert (await failure(outbound, url))[0] is Reason.BUSY
    assert len(upstream.requests) == ATTEMPTS


@pytest.mark.control("retries-idempotent-only")
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_service_is_not_asked_again_before_it_wants_to_be(form: str) -> None:
    wanted = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    upstream = Upstream(status(429, f"Retry-After: {wanted}"), OK)
    started = time.monotonic()
    async with calling(upstream.converse, outbound_read_seconds=5) as (outbound, url):
        await outbound.call("stub", "GET", url)
    assert time.monotonic() - started >= 0.9
    assert len(upstream.requests) == 2


@pytest.mark.control("retries-idempotent-only")
async def test_a_service_that_wants_a_long_pause_is_not_asked_again() -> None:
    upstream = Upstream(status(503, "Retry-After: 3600"), OK)
    async with calling(upstream.converse) as (outbound, url):
        with pytest.raises(UpstreamUnavailableError) as caught:
            await outbound.call("stub", "GET", url)
    assert caught.value.retry_after_seconds == 3600
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("code", [200, 204, 301, 302, 400, 404, 409, 500])
async def test_other_answers_are_the_callers_to_judge_and_no_redirect_is_followed(code: int) -> None:
    upstream = Upstream(status(code, "Location: /elsewhere"))
    async with calling(upstream.converse) as (outbound, url):
        assert (await outbound.call("stub", "GET", url)).status_code == code
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (RESPONSE_MAX_BYTES + 1) + bytes(RESPONSE_MAX_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
        b"nonsense\r\n\r\n",
    ],
    ids=["large", "compressed", "nonsense"],
)
async def test_an_answer_without_bounds_or_sense_is_none(answer: bytes) -> None:
    async with calling(Upstream(answer).converse) as (outbound, url):
        assert (await failure(outbound, url, "POST"))[0] is Reason.BROKEN


async def test_what_is_secret_is_neither_logged_nor_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Not even when the client's own complaint has it, as with a line break in a key."""
    create_app(valid_settings())  # Configures the logs.
    caplog.set_level(logging.DEBUG, "app")
    async with calling(Upstream(OK).converse) as (outbound, url):
        await outbound.call("stub", "GET", f"{url}?token=hunter2", headers={"Authorization": "Bearer hunter2"})
        with pytest.raises(UpstreamUnavailableError) as caught:
            await outbound.call("stub", "GET", url, headers={"Authorization": "Bearer hunter2\n"})
    assert caught.value.error == "LocalProtocolError"
    assert caught.value.__suppress_context__
    assert "hunter2" not in caplog.text + repr(caught.value)


async def test_the_environment_sets_no_proxy_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    upstream = Upstream(OK)
    async with calling(upstream.converse) as (outbound, url):
        assert (await outbound.call("stub", "GET", url)).content == b"ok"
