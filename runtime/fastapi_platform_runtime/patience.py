"""How long the server waits for a client.

Owns three limits that uvicorn does not have: for a request's head from its first byte on, for a body that stops
arriving, and for a client that stops reading. Without them a client keeps a connection for ever by sending a header
now and then, or a stream and all that it holds by reading nothing. A connection on which nothing was ever sent ends
as an unused one does. Deliberately limits no number of connections: the load balancer does, and it knows its clients.
Source: https://github.com/Kludex/uvicorn/blob/main/uvicorn/protocols/http/httptools_impl.py
"""

import asyncio
import contextlib
import fcntl
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11

LOOKS = 4
"""How often a limit is looked at before it is over: time in which the application did not read is not counted."""

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one connection."""

    request_head_seconds: float = 20
    """From the first byte of a request to the end of its headers; they fit into a packet or two."""
    stalled_seconds: float = 60
    """In which some of a body must arrive, or some of an answer must be acknowledged."""


def impatient(protocol: type[asyncio.Protocol], patience: Patience) -> type[asyncio.Protocol]:
    """Give one of uvicorn's protocols the limits.

    A request that arrives in one piece, as nearly all do, costs two comparisons and no timer.
    """
    limits = _LIMITS.get(protocol.__name__)
    if limits is None:
        return protocol
    return type("Impatient", (limits, protocol), {"patience": patience})


class _Limits(asyncio.Protocol):
    """In front of a protocol, whose attributes these are."""

    patience: Patience
    connections: set[Any]
    cycle: Any
    flow: Any
    loop: asyncio.AbstractEventLoop
    timeout_keep_alive: int
    timeout_keep_alive_handler: Callable[[], None]
    timeout_keep_alive_task: asyncio.TimerHandle | None
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
        cycle = self.cycle
        if self.transport.is_closing() or self not in self.connections:
            self._stop_reading()  # Refused, or a WebSocket from here on.
        elif cycle is not None and not cycle.response_complete:
            if cycle.more_body:
                self._read_within(self.patience.stalled_seconds)
            elif self._reading is not None:
                self._stop_reading()
        elif self._head_begun():
            self._wait_for_head()
        elif cycle is not None:
            self._ignore_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_at_writing(self._untaken_bytes(), LOOKS)

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._writing)

    def _head_begun(self) -> bool:
        """Whether some of the next request's head has arrived, but not all."""
        raise NotImplementedError

    def _ignore_rest(self) -> None:
        """A body's rest after its answer is nobody's: the connection is unused, as uvicorn said before it came."""
        self._stop_reading()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

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

    def _look_at_writing(self, untaken_bytes: int, looks: int) -> None:
        left_bytes = self._untaken_bytes()
        if left_bytes < untaken_bytes:
            looks = LOOKS  # However slowly, it reads.
        if looks == 0:
            self.transport.abort()
            return
        seconds = self.patience.stalled_seconds / LOOKS
        self._writing = self.loop.call_later(seconds, self._look_at_writing, left_bytes, looks - 1)

    def _untaken_bytes(self) -> int:
        """What the client has not acknowledged; the kernel holds megabytes of it and says so by the megabyte."""
        held = bytes(4)
        with contextlib.suppress(OSError):  # A kernel that does not say: what it has not taken yet must do.
            held = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
        return self.transport.get_write_buffer_size() + struct.unpack("i", held)[0]


class _H11Limits(_Limits):
    conn: h11.Connection

    def _head_begun(self) -> bool:
        return self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] != b""


class _HttpToolsLimits(_Limits):
    _begun = False
    _cycle_before: Any = None

    def on_message_begin(self) -> None:
        super().on_message_begin()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        self._begun, self._cycle_before = True, self.cycle

    def _head_begun(self) -> bool:
        return self._begun and self._cycle_before is self.cycle


_LIMITS: dict[str, type[_Limits]] = {"H11Protocol": _H11Limits, "HttpToolsProtocol": _HttpToolsLimits}
"""For the protocols whose attributes are known here; another one stays as it is."""


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
