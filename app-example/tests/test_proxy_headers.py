"""Whom the server believes when a header says who calls and how."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from development.services import free_port
from tests.support import ROOT

pytestmark = pytest.mark.control("proxy-headers-trusted")

CLIENT, EDGE, INNER = "127.0.0.9", "127.0.0.2", "127.0.0.3"
"""Addresses on loopback: of a client and of two proxies one behind the other."""
FORGED = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
START_SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Serve as the platform does, with the two proxies trusted, and give the address."""
    port = free_port()
    command = [sys.executable, "-m", "fastapi_platform_runtime.serve", "tests.echo_application:app"]
    options = ["--port", str(port), "--lame-duck", "0", "--proxy-headers", "--forwarded-allow-ips", f"{EDGE},{INNER}"]
    with subprocess.Popen([*command, *options], cwd=ROOT, env={**os.environ}, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def ask(url: str, source: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    """Ask from one of our addresses."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.get(url, headers=headers).json()


@contextmanager
def proxy(target: str, source: str, *, terminates_tls: bool = False) -> Generator[str]:
    """Forward requests from an address of its own, and say for whom as proxies do."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = [self.headers["X-Forwarded-For"]] if "X-Forwarded-For" in self.headers else []
            scheme = "https" if terminates_tls else self.headers["X-Forwarded-Proto"]
            chain = ", ".join([*known, self.client_address[0]])
            with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
                answer = client.get(target, headers={"X-Forwarded-For": chain, "X-Forwarded-Proto": scheme})
            self.send_response(answer.status_code)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}"
        finally:
            listener.shutdown()


def test_through_two_proxies_the_client_is_the_one_that_the_first_saw(server: str) -> None:
    with proxy(server, INNER) as inner, proxy(inner, EDGE, terminates_tls=True) as edge:
        assert ask(edge, CLIENT) == {"client": CLIENT, "scheme": "https"}
        assert ask(edge, CLIENT, FORGED) == {"client": CLIENT, "scheme": "https"}


def test_forged_headers_of_anybody_else_change_nothing(server: str) -> None:
    assert ask(server, CLIENT, FORGED) == {"client": CLIENT, "scheme": "http"}


def test_a_proxy_that_says_nothing_is_the_client(server: str) -> None:
    assert ask(server, EDGE) == {"client": EDGE, "scheme": "http"}


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            assert httpx.get(url).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
