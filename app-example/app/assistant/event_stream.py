"""A reply as Server-Sent Events.

Owns the life of one stream: it begins when the model has accepted, is never silent for long, and always ends with
`done` or `error`, at the latest after its longest time or soon after the process was told to stop. When the client
leaves, the server cancels it where it waits, and the model with it. Deliberately holds nothing back: an event is sent
when it is there.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from http import HTTPStatus
from typing import Any

from anyio import CancelScope
from fastapi import HTTPException
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from fastapi_platform_runtime.drain import wait_for_drain
from starlette.responses import StreamingResponse
from starlette.types import Send

from app import errors
from app.assistant.model import Event
from app.assistant.schemas import Delta, Done
from app.assistant.turns import BusyError
from app.outbound import UpstreamUnavailableError
from app.shares import ShareExceededError

DRAIN_SECONDS = 5.0
"""What a stream gets to end by itself when the process drains: the platform's lame duck, in which it serves anyway."""
KEEP_ALIVE_SECONDS = 5.0
"""Longest silence on the wire; below the time in which any load balancer gives up on one."""
SHARE_RETRY_SECONDS = 5
"""When a caller should ask again who has too many replies under way."""
LAST_WORD_SECONDS = 5.0
"""What a client that reads slowly gets for the rest, when the stream's time is over."""

_NAMES = {Delta: "delta", Done: "done"}
_logger = logging.getLogger(__name__)


class EventStream(StreamingResponse):
    """The answer of a route that streams.

    FastAPI's own `EventSourceResponse` has sent its 200 before the route's generator runs: too late for a 503.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        reply: AbstractAsyncContextManager[AsyncGenerator[Event]],
        *,
        max_seconds: float,
        report: Callable[[Exception], None],
    ) -> None:
        """Take the reply, which the stream enters and leaves, how long it may take, and who hears of our mistakes.

        Whatever entering raises is raised before an answer has begun, and becomes one with a status of its own.
        """
        super().__init__(_nothing(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._reply = reply
        self._max_seconds = max_seconds
        self._report = report

    async def stream_response(self, send: Send) -> None:
        """Send the reply; called beside a watch for the client's leaving, and cancelled by it."""
        async with AsyncExitStack() as stack:
            events = await self._entered(stack)
            try:
                async with asyncio.timeout(self._max_seconds + LAST_WORD_SECONDS):
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    await self._forward(events, send)
                    await _send(send, b"", more=False)
            except TimeoutError:
                # Without the end of the body: the server closes the connection.
                _logger.warning("a client reads too slowly; its stream was cut")

    async def _entered(self, stack: AsyncExitStack) -> AsyncGenerator[Event]:
        try:
            return await stack.enter_async_context(self._reply)
        except BusyError as exc:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE,
                detail="The assistant is busy; try again later.",
                headers={"Retry-After": str(math.ceil(exc.retry_after_seconds))},
            ) from None
        except ShareExceededError:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                detail="As many of your replies are under way as one may have.",
                headers={"Retry-After": str(SHARE_RETRY_SECONDS)},
            ) from None

    async def _forward(self, events: AsyncGenerator[Event], send: Send) -> None:
        told = asyncio.create_task(_told_to_end(self._max_seconds))
        item: asyncio.Task[Event | None] | None = None
        try:
            while True:
                item = item or asyncio.create_task(_next(events))
                await asyncio.wait({item, told}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if item.done():
                    event, item = self._result(item), None
                    if event is None:
                        return
                    await _send(send, event)
                elif told.done():
                    await _send(send, told.result())
                    return
                else:
                    await _send(send, KEEPALIVE_COMMENT)
        finally:
            await _cancel(item, told)

    def _result(self, item: asyncio.Task[Event | None]) -> bytes | None:
        """Encode what came; None at the end. A failure is the last event: the status was sent long ago."""
        try:
            event = item.result()
        except UpstreamUnavailableError as exc:
            return _error(errors.upstream_problem(exc))
        except Exception as exc:
            _logger.exception("unhandled error in a stream")
            self._report(exc)
            return _error(errors.problem(HTTPStatus.INTERNAL_SERVER_ERROR))
        return None if event is None else format_sse_event(event=_NAMES[type(event)], data_str=event.model_dump_json())


async def _told_to_end(max_seconds: float) -> bytes:
    """Wait until the stream must end, and return its last event."""
    try:
        async with asyncio.timeout(max_seconds):
            await wait_for_drain()
            await asyncio.sleep(DRAIN_SECONDS)
    except TimeoutError:
        return _error(errors.problem(HTTPStatus.GATEWAY_TIMEOUT, detail="The reply took too long."))
    return _error(errors.problem(HTTPStatus.SERVICE_UNAVAILABLE, detail="The service restarts; try again."))


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


def _error(problem: errors.Problem) -> bytes:
    return format_sse_event(event="error", data_str=problem.model_dump_json(exclude_none=True))


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _cancel(*tasks: asyncio.Task[Any] | None) -> None:
    started = [task for task in tasks if task is not None]
    for task in started:
        task.cancel()
    # Cancelled ourselves, we would otherwise leave a reply that a task still reads.
    with CancelScope(shield=True):
        await asyncio.gather(*started, return_exceptions=True)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
