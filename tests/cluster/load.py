"""`python load.py URL …`: requests at a steady rate, and every one that failed, as JSON when told to stop.

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


@dataclass
class Figures:
    """What became of the requests."""

    answered: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])
    slowest_seconds: float = 0.0

    def count(self, method: str, outcome: str, seconds: float) -> None:
        """Count one request; an outcome is a status, or why there is none."""
        self.answered[f"{method} {outcome}"] += 1
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        if not outcome.startswith("2"):
            self.failures.append(f"{time.time():.2f} {method} {outcome}")


@dataclass
class Client:
    """One client: a connection that it keeps, or a new one for each request."""

    host: str
    port: int
    keeps: bool
    figures: Figures
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> None:
        """Send one request and count its answer."""
        method = request.split(b" ", 1)[0].decode()
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                outcome = await self._answer(request)
        except (OSError, EOFError, TimeoutError) as exc:
            outcome = f"{type(exc).__name__}: {exc}"
            self._leave()
        self.figures.count(method, outcome, time.monotonic() - began)

    async def _answer(self, request: bytes) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        await reader.readexactly(int(fields.get(b"content-length", b"0")))
        if not self.keeps or fields.get(b"connection") == b"close":
            self._leave()
        return head.split(b" ")[1].decode()

    def _leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def run(clients: Sequence[Client], requests: Sequence[bytes], rate: float, stop: asyncio.Event) -> None:
    """Let the clients ask in turn, each when its time has come, until told to stop."""
    start = time.monotonic()

    async def work(number: int, client: Client) -> None:
        for turn in itertools.count(number, len(clients)):
            due = start + turn / rate - time.monotonic()
            if due > 0:
                await asyncio.sleep(due)
            if stop.is_set():
                return
            await client.ask(requests[turn // len(clients) % len(requests)])

    await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))


async def main(argv: Sequence[str] | None = None) -> None:
    """Ask until SIGTERM, then print the figures."""
    options = _parser().parse_args(argv)
    host, _, port = options.address.partition(":")
    figures, stop = Figures(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clients = [Client(host, int(port), options.keep_alive, figures) for _ in range(options.clients)]
    began = time.monotonic()
    await run(clients, _requests(options), options.rate, stop)
    seconds = time.monotonic() - began
    told = {"requests": figures.answered.total(), "seconds": round(seconds, 1), "answered": dict(figures.answered)}
    told |= {"slowest_seconds": round(figures.slowest_seconds, 2), "failures": figures.failures}
    json.dump(told, sys.stdout)


def _requests(options: argparse.Namespace) -> list[bytes]:
    headers = f"Host: {options.host}\r\nAuthorization: Bearer {options.token}\r\n"
    connection = "" if options.keep_alive else "Connection: close\r\n"
    requests = [f"GET {path} HTTP/1.1\r\n{headers}{connection}\r\n" for path in options.get]
    for post in options.post:
        path, _, body = post.partition(" ")
        sized = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        requests.append(f"POST {path} HTTP/1.1\r\n{headers}{connection}{sized}\r\n{body}")
    return [request.encode() for request in requests]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", help="ADDRESS:PORT")
    parser.add_argument("--host", default="orders.orders")
    parser.add_argument("--token", default="")
    parser.add_argument("--get", action="append", default=[], metavar="PATH")
    parser.add_argument("--post", action="append", default=[], metavar="'PATH BODY'")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (%(default)s)")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--keep-alive", action="store_true")
    return parser


if __name__ == "__main__":
    asyncio.run(main())
