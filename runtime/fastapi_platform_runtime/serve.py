"""`python -m fastapi_platform_runtime.serve app.main:create_app`: the command that a container runs.

Owns the command line, which is the one that the platform writes, and what is refused before anything starts: one
message, exit status 2. Deliberately has no setting from the environment or a file, and no default that differs from the
platform's.

Exit status: 0 after a drain; 2 bad usage; 3 the application or its listener did not start; 128 + signal at a second
signal, or at the first one before the application is loaded.
"""

import argparse
import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

from uvicorn import Config

from .command import import_string
from .server import NOT_STARTED, serve
from .supervisor import Supervisor, Workers

PROGRAM = "python -m fastapi_platform_runtime.serve"
DESCRIPTION = "Serve an ASGI application with uvicorn; at the first signal, tell its clients to leave before stopping."
_logger = logging.getLogger("uvicorn.error")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; see the module for the exit status."""
    options = parser().parse_args(argv)
    # As with `python -m uvicorn`: the application lies in the working directory.
    sys.path.insert(0, os.getcwd())
    if not _exists(options.app):
        parser().error(f"cannot serve {options.app}: there is no module {options.app.partition(':')[0]} here")
    config = _config(options)
    if options.workers == 1:
        return serve(config, options.lame_duck)
    try:
        listener = listen(options.host, options.port)
    except OSError as exc:
        _logger.error("cannot listen on %s port %s: %s", options.host, options.port, exc)
        return NOT_STARTED
    with listener:
        return Supervisor(Workers(config, options.lame_duck, (listener,)), options.workers).run()


def parser() -> argparse.ArgumentParser:
    """The command line: uvicorn's names where uvicorn has the option."""
    made = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("app", type=import_string, help="application or its factory, module:attribute")
    add("--factory", action="store_true", help="the attribute is a function that makes the application")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=_between(0, 65535), default=8000, help="TCP port; 0 for any (%(default)s)")
    add("--workers", type=_between(1, 64), default=1, help="server processes (%(default)s)")
    add("--lame-duck", type=_between(0, 3600), default=5, metavar="SECONDS",
        help="serve on for so long after the first signal, telling clients to leave (%(default)s)")
    add("--timeout-graceful-shutdown", type=_between(1, 3600), default=30, metavar="SECONDS",
        help="what requests in progress get after the listener closes (%(default)s)")
    add("--timeout-keep-alive", type=_between(1, 86400), default=620, metavar="SECONDS",
        help="how long an unused connection stays open (%(default)s)")
    add("--backlog", type=_between(1, 65535), default=2048, help="connections the kernel queues (%(default)s)")
    add("--limit-concurrency", type=_between(1, 1_000_000), default=None, metavar="REQUESTS",
        help="requests in progress before the answer is 503 (no limit)")
    add("--proxy-headers", action=argparse.BooleanOptionalAction, default=False,
        help="believe X-Forwarded-* headers of --forwarded-allow-ips")
    add("--forwarded-allow-ips", default=None, metavar="NETWORKS", help="comma-separated addresses or networks")
    add("--server-header", action=argparse.BooleanOptionalAction, default=False, help="say which server answers")
    return made


def listen(host: str, port: int) -> socket.socket:
    """Bind the socket that all processes share.

    Its protocol is stated: asyncio switches Nagle's algorithm off only for connections whose socket says TCP, and
    uvicorn's own `bind_socket` leaves it out, so that answers on open connections wait 40 ms for a delayed ACK.

    Raises:
        OSError: The address is taken or not one of this machine's.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    _logger.info("Serving on %s port %s", host, bound.getsockname()[1])
    return bound


def _config(options: argparse.Namespace) -> Config:
    return Config(
        options.app,
        backlog=options.backlog,
        factory=options.factory,
        forwarded_allow_ips=options.forwarded_allow_ips,
        host=options.host,
        limit_concurrency=options.limit_concurrency,
        port=options.port,
        proxy_headers=options.proxy_headers,
        server_header=options.server_header,
        timeout_graceful_shutdown=options.timeout_graceful_shutdown,
        timeout_keep_alive=options.timeout_keep_alive,
        workers=options.workers,
    )


def _exists(app: str) -> bool:
    """Whether the application's module can be found; its packages are imported on the way, the module is not."""
    try:
        return importlib.util.find_spec(app.partition(":")[0]) is not None
    except ModuleNotFoundError as exc:
        return not app.startswith(f"{exc.name}.")
    except Exception:  # A package of the application's raises: it is there, and the server says what is wrong with it.
        return True


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"want a whole number from {low} to {high}, got {text}")
        return value

    return number


if __name__ == "__main__":
    raise SystemExit(main())
