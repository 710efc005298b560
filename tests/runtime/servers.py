"""Real server processes on loopback, ours and the control, and what a client needs to look at them closely."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

HERE = Path(__file__).parent
OURS = ("fastapi_platform_runtime.serve",)
PLAIN = ("uvicorn",)
"""The control: what the platform starts when an image does not bring our server."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass(frozen=True)
class Served:
    process: "subprocess.Popen[str]"
    port: int
    output: TextIO
    """A file: a pipe that nobody reads would stop a busy server at its 64 KiB."""
    connections: list[http.client.HTTPConnection] = field(default_factory=list[http.client.HTTPConnection])

    def connect(self) -> http.client.HTTPConnection:
        self.connections.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10))
        return self.connections[-1]

    def tell(self, sig: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(sig)

    def end(self, timeout_seconds: float = 15) -> tuple[int, str]:
        """Exit status and output."""
        return self.process.wait(timeout=timeout_seconds), self.said()

    def said(self) -> str:
        """Output so far; read without moving the position that the server writes at."""
        return os.pread(self.output.fileno(), 1 << 24, 0).decode()

    def settle(self) -> None:
        """Wait until the server has noticed its signal: its readiness, on a connection of its own, is false."""
        deadline = time.monotonic() + 10
        while ask(self.connect(), "/ready").status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait_until_closed(self) -> None:
        """Wait until the server accepts no more connections."""
        deadline = time.monotonic() + 10
        with suppress(ConnectionRefusedError):
            while time.monotonic() < deadline:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                time.sleep(0.01)


def ask(connection: http.client.HTTPConnection, path: str) -> http.client.HTTPResponse:
    """One request on an open or new connection; the body is read, so that the connection is free again."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response


@contextmanager
def running(module: tuple[str, ...], *options: str, env: dict[str, str] | None = None,
            wait: bool = True, port: int | None = None, app: str = "served:create_app") -> Generator[Served]:
    """A server on a port of its own, in a process group of its own, killed at the end whatever happens."""
    port = port or free_port()
    output = TemporaryFile("w+")  # noqa: SIM115 closed below
    process = subprocess.Popen(
        [sys.executable, "-m", *module, app, "--factory", "--port", str(port), *options],
        cwd=HERE, env={**os.environ, **(env or {})}, start_new_session=True,
        stdout=output, stderr=output, text=True,
    )
    served = Served(process, port, output)
    try:
        if wait:
            _wait(served, int(options[options.index("--workers") + 1]) if "--workers" in options else 1)
        yield served
    finally:
        for connection in served.connections:
            connection.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.close()


def _wait(served: Served, workers: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            ask(served.connect(), "/ready")
            if served.said().count("Application startup complete") >= workers:
                return
        assert served.process.poll() is None, served.end()
        assert time.monotonic() < deadline
        time.sleep(0.02)
