"""What a server process does from its first signal to its end, seen from the other end of real sockets.

The shortest of these tests, and the control, are in `test_lame_duck.py`; what several processes make of one that does
not start, in `test_supervisor.py`.
"""

import http.client
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.runtime.servers import OURS, Served, ask, running

pytestmark = pytest.mark.services
WORKERS = pytest.mark.parametrize("workers", [1, 2])
BOTH = ("--timeout-graceful-shutdown", "5", "--timeout-keep-alive", "30")


@WORKERS
def test_new_connections_are_served_and_readiness_is_false_during_the_lame_duck(workers: int):
    with running(OURS, *BOTH, "--lame-duck", "2", "--workers", str(workers)) as server:
        server.tell()
        server.settle()
        began = time.monotonic()
        while time.monotonic() - began < 1:
            answer = ask(server.connect(), "/")
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            assert ask(server.connect(), "/ready").status == 503
        status, output = server.end()
        assert status == 0
        assert output.count("closed its pools") == workers


@WORKERS
def test_a_request_in_progress_outlives_the_lame_duck(workers: int):
    with running(OURS, *BOTH, "--lame-duck", "0", "--workers", str(workers)) as server, ThreadPoolExecutor() as pool:
        answers = [pool.submit(ask, server.connect(), "/slow/1.5") for _ in range(4)]
        time.sleep(0.5)
        server.tell()
        assert [answer.result().status for answer in answers] == [200] * 4
        assert server.end()[0] == 0


def test_requests_that_take_too_long_are_cut_at_the_graceful_timeout():
    options = ("--timeout-graceful-shutdown", "1", "--lame-duck", "1")
    with running(OURS, *options) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, server.connect(), "/slow/30")
        time.sleep(0.3)
        began = time.monotonic()
        server.tell()
        assert server.end()[0] == 0
        assert 1.9 <= time.monotonic() - began < 5
        assert answer.exception() or answer.result().status == 500


def test_a_stream_is_told_to_end_and_ends_whole():
    """Chunked to the last chunk: `read` raises IncompleteRead on a stream that was cut."""
    with running(OURS, *BOTH, "--lame-duck", "3") as server, ThreadPoolExecutor() as pool:
        client = server.connect()
        client.request("GET", "/stream")
        response = client.getresponse()
        body = pool.submit(response.read)
        time.sleep(0.3)
        began = time.monotonic()
        server.tell()
        assert body.result().endswith(b"tick bye")
        assert time.monotonic() - began < 1


@WORKERS
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(workers: int, sig: signal.Signals):
    with running(OURS, "--lame-duck", "60", "--workers", str(workers)) as server:
        pids = {int(pid) for pid in _pids(server)}
        server.tell()
        server.settle()
        began = time.monotonic()
        server.tell(sig)
        assert server.end()[0] == 128 + sig
        while any(_runs(pid) for pid in pids):
            assert time.monotonic() - began < 2


@WORKERS
def test_ctrl_c_in_a_terminal_drains_too(workers: int):
    """A terminal tells the whole process group: the workers hear of it twice."""
    with running(OURS, *BOTH, "--lame-duck", "1", "--workers", str(workers)) as server:
        began = time.monotonic()
        os.killpg(server.process.pid, signal.SIGINT)
        server.settle()
        assert ask(server.connect(), "/").getheader("Connection") == "close"
        status, output = server.end()
        assert (status, output.count("closed its pools")) == (0, workers)
        assert time.monotonic() - began >= 1


def test_a_signal_during_the_start_ends_it_without_a_lame_duck():
    with running(OURS, "--lame-duck", "60", env={"STARTUP_SECONDS": "1.5"}, wait=False) as server:
        time.sleep(1)
        server.tell()
        assert server.end()[0] in (0, 128 + signal.SIGTERM)


@WORKERS
def test_answers_on_an_open_connection_do_not_wait_for_delayed_acknowledgements(workers: int):
    """40 ms each, when Nagle's algorithm is on; the fastest of many says whether it is, however busy the machine."""
    with running(OURS, "--lame-duck", "0", "--workers", str(workers)) as server:
        client = server.connect()
        took_seconds: list[float] = []
        for _ in range(30):
            began = time.monotonic()
            ask(client, "/")
            took_seconds.append(time.monotonic() - began)
        assert sorted(took_seconds)[len(took_seconds) // 2] < 0.03


def test_a_worker_that_dies_is_replaced():
    with running(OURS, *BOTH, "--lame-duck", "0", "--workers", "2") as server:
        before = _pids(server)
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(server.connect(), "/block")
        deadline = time.monotonic() + 15
        while len(_pids(server) | before) < 3:
            assert time.monotonic() < deadline
        server.tell()
        assert server.end()[0] == 0


def _pids(server: Served) -> set[str]:
    """The processes that answer, one after the other until both were met or enough were asked."""
    met: set[str] = set()
    for _ in range(40):
        client = server.connect()
        client.request("GET", "/")
        met.add(client.getresponse().read().decode())
    return met


def _runs(pid: int) -> bool:
    """Whether a process is there; one that only waits to be collected by its parent is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
