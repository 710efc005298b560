"""Calls of other services.

Owns the one HTTP client of the process, the limits of every call (time, size, connections, repetitions) and the one
error that a caller sees. A call is repeated only when that is safe: its method says so (RFC 9110), or it carries an
`Idempotency-Key`. Deliberately knows no service's paths or credentials, follows no redirect (a credential would follow
too), and reads neither proxies nor `.netrc` from the environment: addresses and credentials are settings.
Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from random import uniform

import httpx
import stamina

from app.settings import Settings
from app.telemetry import Tracing

ATTEMPTS = 3
"""A call and its repetitions; more would multiply the load on a service that already has too much."""
BACKOFF_SECONDS = 0.1
"""Pause before the first repetition; it doubles, and up to as much again is added at random."""
BACKOFF_MAX_SECONDS = 1.0
CALL_CONNECTIONS = 50
"""Connections for calls, beside one for each stream of the model."""
IDEMPOTENCY_KEY = "Idempotency-Key"
IDLE_SECONDS = 30.0
"""How long an unused connection stays open; below what load balancers give one."""
RESPONSE_MAX_BYTES = 1_048_576
"""Largest answer of a call."""
RETRY_AFTER_MAX_SECONDS = 5.0
"""Longest `Retry-After` that is waited for; a service that wants more is not asked again."""


class Reason(StrEnum):
    """Why there is no usable answer."""

    BROKEN = "broken"
    """It answered what cannot be used, or broke off."""
    BUSY = "busy"
    """It has too much to do, or we do: no connection to it was free."""
    TIMEOUT = "timeout"
    """It did not answer in time."""
    UNREACHABLE = "unreachable"
    """No connection could be opened."""


class UpstreamUnavailableError(Exception):
    """Another service gave no usable answer."""

    def __init__(
        self,
        service: str,
        reason: Reason,
        error: str | None = None,
        *,
        may_pass: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Take the service's name, the reason, a short word on what happened, and whether trying again may help."""
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
        self.error = error
        self.may_pass = may_pass
        self.retry_after_seconds = retry_after_seconds


_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT"})
_PASSING: dict[int, Reason] = {
    HTTPStatus.TOO_MANY_REQUESTS: Reason.BUSY,
    HTTPStatus.BAD_GATEWAY: Reason.BROKEN,
    HTTPStatus.SERVICE_UNAVAILABLE: Reason.BUSY,
    HTTPStatus.GATEWAY_TIMEOUT: Reason.TIMEOUT,
}
"""Answers that say "not now"."""
_FAILURES: tuple[tuple[type[httpx.HTTPError], Reason, bool], ...] = (
    (httpx.ConnectTimeout, Reason.UNREACHABLE, True),
    (httpx.PoolTimeout, Reason.BUSY, False),
    # It may still be at work; asking again would double that.
    (httpx.TimeoutException, Reason.TIMEOUT, False),
    (httpx.ConnectError, Reason.UNREACHABLE, True),
    (httpx.NetworkError, Reason.BROKEN, True),
    (httpx.RemoteProtocolError, Reason.BROKEN, True),
    (httpx.HTTPError, Reason.BROKEN, False),
)
"""What a failure means and whether it may pass, the first that fits."""


class Outbound:
    """The HTTP client of one process."""

    def __init__(self, client: httpx.AsyncClient, *, deadline_seconds: float) -> None:
        """Take a client with its limits, and the longest that one call with all its repetitions may take."""
        self._client = client
        self._deadline_seconds = deadline_seconds

    @property
    def is_closed(self) -> bool:
        """Whether the process has let go of its connections."""
        return self._client.is_closed

    @property
    def deadline_seconds(self) -> float:
        """Longest that one call with all its repetitions takes."""
        return self._deadline_seconds

    async def call(
        self,
        service: str,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call a service and read its whole answer, whatever its status says but "not now".

        Args:
            service: Its name in errors and log lines; no address.
            method: Decides whether the call may be repeated, together with `Idempotency-Key` among the headers.
            url: Where it is.
            content: What to send.
            headers: What to send with it.

        Raises:
            UpstreamUnavailableError: No usable answer within the limits.
        """
        request = self._client.build_request(method, url, content=content, headers=headers)
        repeatable = method in _IDEMPOTENT or IDEMPOTENCY_KEY in request.headers
        attempts = stamina.retry_context(
            on=_pause,
            attempts=ATTEMPTS if repeatable else 1,
            timeout=None,
            wait_initial=BACKOFF_SECONDS,
            wait_jitter=BACKOFF_SECONDS,
            wait_max=BACKOFF_MAX_SECONDS,
        )
        try:
            async with asyncio.timeout(self._deadline_seconds):
                async for attempt in attempts:
                    with attempt:
                        return await self._attempt(service, request)
        except TimeoutError:
            raise UpstreamUnavailableError(service, Reason.TIMEOUT, "deadline") from None
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self,
        service: str,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """Call a service, never twice, and give its answer as it arrives; leaving closes the connection.

        The caller bounds the whole time; each silence is bounded here.

        Raises:
            UpstreamUnavailableError: It does not answer with 200, or stops in the middle.
        """
        request = self._client.build_request(method, url, content=content, headers=headers)
        with _translated(service):
            response = await self._client.send(request, stream=True)
        try:
            _refuse_unusable(service, response)
            if response.status_code != HTTPStatus.OK:
                raise UpstreamUnavailableError(service, Reason.BROKEN, f"status {response.status_code}")
            async with aclosing(_arriving(service, response)) as chunks:
                yield chunks
        finally:
            await response.aclose()

    async def _attempt(self, service: str, request: httpx.Request) -> httpx.Response:
        with _translated(service):
            response = await self._client.send(request, stream=True)
            try:
                _refuse_unusable(service, response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > RESPONSE_MAX_BYTES:
                        raise UpstreamUnavailableError(service, Reason.BROKEN, "answer too large")
            finally:
                await response.aclose()
        return httpx.Response(response.status_code, headers=response.headers, content=bytes(body), request=request)


@asynccontextmanager
async def open_outbound(settings: Settings, traces: Tracing | None = None) -> AsyncGenerator[Outbound]:
    """Give the client of the process, which connects at the first call and may be traced, and close it in the end."""
    connect, read = settings.outbound_connect_seconds, settings.outbound_read_seconds
    connections = CALL_CONNECTIONS + settings.model_concurrency
    async with httpx.AsyncClient(
        follow_redirects=False,
        # Compressed, a small answer could unfold without limit.
        headers={"Accept-Encoding": "identity", "User-Agent": settings.service_name},
        limits=httpx.Limits(
            keepalive_expiry=IDLE_SECONDS, max_connections=connections, max_keepalive_connections=connections
        ),
        timeout=httpx.Timeout(connect=connect, pool=connect, read=read, write=read),
        trust_env=False,
    ) as client:
        if traces:
            traces.watch_http(client)
        yield Outbound(client, deadline_seconds=2 * (connect + read))


def _refuse_unusable(service: str, response: httpx.Response) -> None:
    reason = _PASSING.get(response.status_code)
    if reason is not None:
        raise UpstreamUnavailableError(
            service,
            reason,
            f"status {response.status_code}",
            may_pass=True,
            retry_after_seconds=_retry_after_seconds(response.headers.get("Retry-After")),
        )
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise UpstreamUnavailableError(service, Reason.BROKEN, "answer is compressed")


@contextmanager
def _translated(service: str) -> Generator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError) as exc:
        matches = ((reason, may_pass) for kind, reason, may_pass in _FAILURES if isinstance(exc, kind))
        reason, may_pass = next(matches, (Reason.BROKEN, False))
        # Only its type: the text of some has the header that was refused.
        raise UpstreamUnavailableError(service, reason, type(exc).__name__, may_pass=may_pass) from None


async def _arriving(service: str, response: httpx.Response) -> AsyncGenerator[bytes]:
    with _translated(service):
        async for chunk in response.aiter_raw():
            yield chunk


def _pause(exc: Exception) -> bool | float:
    """Say whether to call again, and after how long where the service said so."""
    if not isinstance(exc, UpstreamUnavailableError) or not exc.may_pass:
        return False
    if not exc.retry_after_seconds:
        return True
    # Never earlier than it asked, and not all callers at the same moment.
    return exc.retry_after_seconds <= RETRY_AFTER_MAX_SECONDS and exc.retry_after_seconds + uniform(0, BACKOFF_SECONDS)


def _retry_after_seconds(value: str | None) -> float | None:
    """Read seconds or a date; None where neither is there."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
