"""How long the server waits for a client.

Owns three limits that uvicorn does not have: for a request's head from its first byte on, for a body that stops
arriving, and for a client that stops reading. Without them a client keeps a connection for ever by sending a header
now and then, or a stream and all that it holds by reading nothing. A connection on which nothing was ever sent ends
as an unused one does. Deliberately limits no number of connections: the load balancer does, and it knows its clients.
Source: https://github.com/Kludex/uvicorn/blob/main/uvicorn/protocols/http/httptools_impl.py
"""

import asyncio
from dataclasses import dataclass
from typing import Any

HTTP1_PROTOCOLS = ("H11Protocol", "HttpToolsProtocol")
"""Those whose attributes are known here; another one stays as it is."""
LOOKS = 4
"""How often a limit is looked at before it is over: time in which the application did not read is not counted."""

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one connection."""

    request_head_seconds: float = 20
    """From the first byte of a request to the end of its headers; they fit into a packet or two."""
    stalled_seconds: float = 60
    """In which some of a body must arrive, or some of an answer must be taken."""


def impatient(protocol: type[asyncio.Protocol], patience: Patience) -> type[asyncio.Protocol]:
    """Give one of uvicorn's protocols the limits.

    A request that arrives in one piece, as nearly all do, costs two comparisons and no timer.
    """
    if protocol.__name__ not in HTTP1_PROTOCOLS:
        return protocol
    return type("Impatient", (_Limits, protocol), {"patience": patience})


class _Limits(asyncio.Protocol):
    """In front of a protocol, whose attributes these are."""

    patience: Patience
    connections: set[Any]
    cycle: Any
    flow: Any
    loop: asyncio.AbstractEventLoop
    timeout_keep_alive: int
    transport: asyncio.Transport

    _in_head = False
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._read_within(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading()
        _stop(self._writing)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self not in self.connections:
            self._stop_reading()  # Refused, or a WebSocket from here on.
        elif self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        elif self.cycle.more_body:
            self._read_within(self.patience.stalled_seconds)
        elif self._reading is not None:
            self._stop_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(self.patience.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._writing)

    def _wait_for_head(self) -> None:
        if not self._in_head:
            self._read_within(self.patience.request_head_seconds)
            self._in_head = True

    def _read_within(self, seconds: float) -> None:
        self._stop_reading()
        self._look_again(seconds / LOOKS, LOOKS)

    def _look_again(self, seconds: float, looks: int) -> None:
        self._reading = self.loop.call_later(seconds, self._look, seconds, looks)

    def _stop_reading(self) -> None:
        _stop(self._reading)
        self._reading = None
        self._in_head = False

    def _look(self, seconds: float, looks: int) -> None:
        if self.flow.read_paused:
            self._look_again(seconds, LOOKS)  # It is the application that takes its time: the client's begins anew.
        elif looks > 1:
            self._look_again(seconds, looks - 1)
        elif self._in_head:
            self.transport.write(_TOO_LATE)
            self.transport.close()
        else:
            self.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
