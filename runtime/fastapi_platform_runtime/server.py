"""uvicorn with a lame duck: one server process that tells its clients to leave before it stops.

Owns what a signal means. The first one begins the drain: readiness fails, streams are told to end, every HTTP/1.1
answer carries `Connection: close`, and for the lame-duck seconds the listener goes on accepting and answering. Then
comes uvicorn's own graceful shutdown with its timeout. A second signal ends the process at once. Deliberately changes
nothing else about uvicorn but its patience with slow clients (`patience`) and what the garbage collector looks at.
Without the lame duck, connections that clients keep open are closed under their next request.
Source: https://github.com/Kludex/uvicorn/blob/main/uvicorn/server.py
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from uvicorn import Config, Server
from uvicorn.importer import ImportFromStringError, import_from_string

from .drain import PROCESS, Drain
from .loading import reason
from .patience import Patience, impatient

NOT_LOADED = 2
"""Exit status when the application cannot be found: the command line is wrong."""
NOT_STARTED = 3
"""Exit status when the application or its listener does not start; the same as uvicorn's."""

LAST_REQUESTS_SECONDS = 1.0
"""Between a connection and its first request; within the seconds that the platform adds to the clocks of a stop."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_logger = logging.getLogger("uvicorn.error")


class LameDuck(Server):
    """A server that goes on serving for a while after it was told to stop."""

    def __init__(
        self,
        config: Config,
        lame_duck_seconds: float,
        *,
        drain: Drain = PROCESS,
        on_started: Callable[[], None] | None = None,
        patience: Patience | None = None,
        supervised: bool = False,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_started = on_started
        self._patience = patience or Patience()
        self._supervised = supervised
        self._lame_duck_seconds = lame_duck_seconds
        self._leaves_at = float("inf")

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal and the lame duck after it have passed."""
        if not self.config.loaded:
            self.config.load()
        config: Any = self.config
        config.loaded_app = leaving(config.loaded_app, self._drain)
        config.http_protocol_class = impatient(config.http_protocol_class, self._patience)
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and have the garbage collector pass over all that it made by then.

        What an application keeps for ever is most of its objects; looking through them again and again stops every
        request for a tenth of a second. Source: https://docs.python.org/3/library/gc.html#gc.freeze
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        if self._on_started is not None:
            self._on_started()

    async def on_tick(self, counter: int) -> bool:
        """Stop once the lame duck is over; called ten times a second."""
        self.should_exit = self.should_exit or time.monotonic() >= self._leaves_at
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, give whoever came at the last moment time to ask, and shut down.

        uvicorn closes a connection whose request has not arrived yet together with the idle ones, unanswered.
        """
        if self._leaves_at < float("inf") and self._lame_duck_seconds:
            for listener in (*self.servers, *(sockets or ())):
                listener.close()
            await asyncio.sleep(LAST_REQUESTS_SECONDS)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain at the first signal, end the process at the second."""
        if self._supervised and sig == signal.SIGINT:
            return  # Ctrl-C reaches the whole process group; what it means, the supervisor says.
        if self._drain.begun:
            end_at_once(sig)
        self._drain.begin()
        # Nobody has been served yet while the application starts, so there is nobody to tell.
        seconds = self._lame_duck_seconds if self.started else 0.0
        self._leaves_at = time.monotonic() + seconds
        self.should_exit = seconds == 0
        _logger.info("Draining: %g s of serving with Connection: close, then graceful shutdown", seconds)


def leaving(app: Asgi, drain: Drain) -> Asgi:
    """Wrap an application so that its HTTP/1.1 answers close their connections while the process drains."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["http_version"].startswith("1"):
            await app(scope, receive, send)
            return

        async def send_and_leave(message: Message) -> None:
            if drain.begun and message["type"] == "http.response.start":
                others = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"]
                message = {**message, "headers": [*others, (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, send_and_leave)

    return wrapped


def serve(
    config: Config,
    lame_duck_seconds: float,
    *,
    on_started: Callable[[], None] | None = None,
    sockets: list[socket.socket] | None = None,
    supervised: bool = False,
) -> int:
    """Run one server process.

    Args:
        config: uvicorn's configuration; the application is an import string.
        lame_duck_seconds: How long to serve on after the first signal.
        on_started: Called once, when the application has started and the process listens.
        sockets: Listening sockets that several processes share; none to open one.
        supervised: Whether another process says when to stop; SIGINT then means nothing here.

    Returns:
        Exit status: 0 after a drain, 2 when the application cannot be found, 3 when it or its listener does not start.
    """
    # As process 1 of a container nothing would happen otherwise until the application is imported.
    signal.signal(signal.SIGTERM, lambda number, _frame: end_at_once(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN if supervised else signal.default_int_handler)
    server = LameDuck(config, lame_duck_seconds, on_started=on_started, supervised=supervised)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        try:
            import_from_string(config.app)
            runner.run(_load(config))
        except ImportFromStringError as exc:
            _logger.error("cannot serve %s: %s", config.app, exc)
            return NOT_LOADED
        except Exception as exc:
            _logger.error("cannot serve %s: it does not load: %s", config.app, reason(exc, os.environ))
            return NOT_STARTED
        runner.run(server.serve(sockets))
    return 0 if server.started else NOT_STARTED


async def _load(config: Config) -> None:
    """Make the application in the loop that it is served in, as uvicorn does."""
    config.load()


def end_at_once(sig: int) -> None:
    """End this process without another instruction: a signal's own action is ignored in process 1 of a container."""
    os._exit(128 + sig)
