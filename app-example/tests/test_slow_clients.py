"""Ten thousand clients that take their time: the process lives, answers its probes, and lets go of them.

Prints what one of them costs: `pytest -m services tests/test_slow_clients.py -s`.
"""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi_platform_runtime.patience import Patience

from development.services import free_port
from tests.live import PATH
from tests.support import ROOT, signed_in, valid_settings

pytestmark = pytest.mark.services
CLIENTS = 10_000
STREAMS = 200
"""Clients among them that have asked the assistant, and read nothing of what it says."""
SPARE_FILES = 600
ANSWER_SECONDS = 10.0
"""For a probe: generous, because the clients run on the same machine."""
BODY = b'{"messages": [{"role": "user", "content": "Where is my order?"}]}'


@pytest.fixture
def enough_files() -> Generator[None]:
    """Raise the number of open files as far as it goes, for the server as well, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"a process may have {hard} open files, want {wanted}: `ulimit -Hn`, or LimitNOFILE= of its unit")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def served(database_url: str) -> Generator[tuple[int, httpx.Client]]:
    """Start the service as its image does, and give the process id and a client."""
    port = free_port()
    environment = {"DATABASE_URL": database_url, "ENVIRONMENT": "local", "METRICS_PORT": "0"}
    command = (sys.executable, "-m", "fastapi_platform_runtime.serve", "app.main:create_app", "--factory")
    with subprocess.Popen(
        [*command, "--port", str(port), "--lame-duck", "0"],
        cwd=ROOT,
        env={**os.environ, **environment, "MODEL_CONCURRENCY": str(STREAMS)},
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_SECONDS, trust_env=False) as client:
                wait_for(lambda: is_ready(client), seconds=60)
                yield process.pid, client
        finally:
            process.kill()


def is_ready(client: httpx.Client) -> bool:
    """Tell whether the service answers that it is ready."""
    try:
        return client.get("/healthz/ready").status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def resident_bytes(process_id: int) -> int:
    """Return how much memory a process uses."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * resource.getpagesize()


def open_files(process_id: int) -> int:
    """Return how many files and connections a process has open."""
    return len(os.listdir(f"/proc/{process_id}/fd"))


def slowest_probe(client: httpx.Client) -> float:
    """Ask both probes, each must say yes, and return the longer time in seconds."""
    seconds: list[float] = []
    for path in ("/healthz/live", "/healthz/ready"):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        seconds.append(answer.elapsed.total_seconds())
    return max(seconds)


def asking() -> bytes:
    """Write a request of somebody who is signed in."""
    token = signed_in(valid_settings())["Authorization"]
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@pytest.mark.usefixtures("enough_files")
def test_slow_clients_cost_little_are_let_go_and_take_nothing_from_the_probes(direct_database_url: str) -> None:
    request = asking()
    with served(direct_database_url) as (process_id, client), ExitStack() as stack:
        address = (client.base_url.host, client.base_url.port)
        before, files = resident_bytes(process_id), open_files(process_id)
        began, slowest = time.monotonic(), 0.0
        slow: list[socket.socket] = []
        for number in range(CLIENTS):
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            connection.sendall(request if number < STREAMS else b"GET /v1/orders HTTP/1.1\r\nHost: ")
            slow.append(connection)
            if number % 1000 == 0:
                slowest = max(slowest, slowest_probe(client))
        opened = time.monotonic() - began
        held = open_files(process_id) - files
        per_client = (resident_bytes(process_id) - before) / CLIENTS
        letting_go = time.monotonic()
        while open_files(process_id) - files > STREAMS + 10:
            for connection in slow[STREAMS :: CLIENTS // 100]:
                send_a_little(connection)
            slowest = max(slowest, slowest_probe(client))
            assert time.monotonic() - letting_go < 4 * Patience().request_head_seconds, open_files(process_id)
        print(
            f"\n{CLIENTS} clients ({held} open at once, {opened:.1f} s to open): {per_client / 1024:.1f} KiB each, "
            f"slowest probe {slowest * 1000:.0f} ms, let go {time.monotonic() - letting_go:.1f} s later"
        )
        assert per_client < 64 * 1024


def send_a_little(connection: socket.socket) -> None:
    """Go on with a header that never ends, while the server still listens."""
    try:
        connection.send(b"x")
    except ConnectionError:
        return
