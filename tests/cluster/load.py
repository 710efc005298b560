"""`python load.py ADDRESS …`: requests at a steady rate, and every one that failed, as JSON when told to stop.

Owns the client: plain sockets, so that it costs little, retries nothing and sees every connection that is cut. Starts a
request when its time has come, whether or not the last was quick. Runs where only a standard library is.
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 30.0
LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Figures:
    """What became of the requests."""

    answered: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])
    seconds: list[float] = field(default_factory=list[float])

    def count(self, what: str, outcome: str, seconds: float) -> None:
        """Count one request; an outcome is a status, or why there is none."""
        self.answered[f"{what} {outcome}"] += 1
        self.seconds.append(seconds)
        if not outcome.startswith("2"):
            self.failures.append(f"{time.time():.2f} {what} {outcome} after {seconds:.2f} s")

    def told(self, seconds: float) -> dict[str, object]:
        """Return them as they are printed."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "requests": self.answered.total(),
            "seconds": round(seconds, 1),
            "answered": dict(self.answered),
            "p99_seconds": round(ordered[int(len(ordered) * 0.99)], 3),
            "slowest_seconds": round(ordered[-1], 3),
            "failures": self.failures,
        }


@dataclass
class Client:
    """One client: a connection that it keeps, or a new one for each request."""

    host: str
    port: int
    keeps: bool
    figures: Figures
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, what: str, request: bytes) -> None:
        """Send one request and count its answer."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                outcome = await self._answer(request)
        except (OSError, EOFError, TimeoutError) as exc:
            outcome = f"{type(exc).__name__}: {exc}"
            self._leave()
        self.figures.count(what, outcome, time.monotonic() - began)

    async def _answer(self, request: bytes) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        status = head.split(b" ")[1].decode()
        if fields.get(b"transfer-encoding") == b"chunked":
            content = await reader.readuntil(LAST_CHUNK)
            # How a stream of events ends says whether all of it came.
            status = status if b"event: done" in content else f"{status} that breaks off"
        else:
            await reader.readexactly(int(fields.get(b"content-length", b"0")))
        if not self.keeps or fields.get(b"connection") == b"close":
            self._leave()
        return status

    def _leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


Requests = Sequence[tuple[str, bytes]]
"""What each is called in the figures, and its bytes."""


async def run(clients: Sequence[Client], requests: Requests, rate: float, stop: asyncio.Event) -> None:
    """Let the clients ask in turn, each when its time has come, until told to stop."""
    start = time.monotonic()

    async def work(number: int, client: Client) -> None:
        for turn in itertools.count(number, len(clients)):
            due = start + turn / rate - time.monotonic()
            if due > 0:
                await asyncio.sleep(due)
            if stop.is_set():
                return
            await client.ask(*requests[turn // len(clients) % len(requests)])

    await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))


async def stream(client: Client, request: bytes, stop: asyncio.Event) -> None:
    """Ask for one stream after the other until told to stop."""
    while not stop.is_set():
        await client.ask("stream", request)


async def main(argv: Sequence[str] | None = None) -> None:
    """Ask until SIGTERM, then print the figures."""
    options = _parser().parse_args(argv)
    host, _, port = options.address.partition(":")
    figures, stop = Figures(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def clients(number: int) -> list[Client]:
        return [Client(host, int(port), options.keep_alive, figures) for _ in range(number)]

    began = time.monotonic()
    streams = [stream(client, _post(options, options.stream), stop) for client in clients(options.streams)]
    await asyncio.gather(run(clients(options.clients), _requests(options), options.rate, stop), *streams)
    json.dump(figures.told(time.monotonic() - began), sys.stdout)


def _requests(options: argparse.Namespace) -> Requests:
    gets = [("GET", _head(options, "GET", path) + b"\r\n") for path in options.get]
    return [*gets * options.gets, *(("POST", _post(options, post)) for post in options.post)]


def _post(options: argparse.Namespace, post: str) -> bytes:
    path, _, body = post.partition(" ")
    sized = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return _head(options, "POST", path) + f"{sized}\r\n{body}".encode()


def _head(options: argparse.Namespace, method: str, path: str) -> bytes:
    connection = "" if options.keep_alive else "Connection: close\r\n"
    headers = f"Host: {options.host}\r\nAuthorization: Bearer {options.token}\r\n{connection}"
    return f"{method} {path} HTTP/1.1\r\n{headers}".encode()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", help="ADDRESS:PORT")
    parser.add_argument("--host", default="orders.orders")
    parser.add_argument("--token", default="")
    parser.add_argument("--get", action="append", default=[], metavar="PATH")
    parser.add_argument("--gets", type=int, default=1, help="of each, between two posts (%(default)s)")
    parser.add_argument("--post", action="append", default=[], metavar="'PATH BODY'")
    parser.add_argument("--stream", default="", metavar="'PATH BODY'", help="answered with a stream of events")
    parser.add_argument("--streams", type=int, default=0, help="at the same time (%(default)s)")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (%(default)s)")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--keep-alive", action="store_true")
    return parser


if __name__ == "__main__":
    asyncio.run(main())
