"""What several processes on one port make of one that does not start."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from uvicorn import Config

from fastapi_platform_runtime import supervisor
from tests.runtime.servers import OURS, Served, ask, running

pytestmark = pytest.mark.processes
TWO = ("--workers", "2", "--timeout-graceful-shutdown", "5")


def until(met: Callable[[], bool], server: Served) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.02)


def pid(server: Served) -> bytes:
    """That of the process which answers."""
    client = server.connect()
    client.request("GET", "/")
    return client.getresponse().read()


def test_a_replacement_that_does_not_start_is_tried_again_while_the_others_serve(tmp_path: Path):
    """As in an outage of Postgres, which is no reason to give up the processes that got through it."""
    away = tmp_path / "away"
    with running(OURS, *TWO, "--lame-duck", "0", env={"AWAY_WHILE_THERE_IS": str(away)}) as server:
        met: set[bytes] = set()
        until(lambda: met.add(pid(server)) or len(met) == 2, server)
        away.touch()
        with pytest.raises(ConnectionError):
            ask(server.connect(), "/block")
        until(lambda: server.said().count("ended with status 3; another in") == 2, server)
        assert "ended with status 3; another in 1 s" in server.said()
        assert "ended with status 3; another in 2 s" in server.said()
        assert ask(server.connect(), "/").status == 200
        away.unlink()
        until(lambda: server.said().count("Application startup complete") == 3, server)
        server.tell()
        assert server.end()[0] == 0


def test_a_signal_after_a_start_that_failed_is_the_first_one(tmp_path: Path):
    """Whoever runs the container may say what the server has decided already; the drain goes on."""
    environment = {"ONLY_ONE_STARTS": str(tmp_path / "first"), "STARTUP_SECONDS": "0.1"}
    with running(OURS, *TWO, "--lame-duck", "2", env=environment, wait=False) as server:
        until(lambda: "before all had started" in server.said(), server)
        server.tell()
        status, output = server.end()
        assert status == 3
        assert output.count("closed its pools") == 1


class Started:
    """In the place of a worker: two signals arrive while the first is being started."""

    all: ClassVar[list["Started"]] = []

    def __init__(self, _workers: object) -> None:
        self.process = SimpleNamespace(exitcode=None)
        self.told: list[int] = []
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(sig)
        self.all.append(self)

    def tell(self, sig: int) -> None:
        self.told.append(sig)


def end(sig: int) -> None:
    raise SystemExit(sig)


def test_two_signals_during_the_first_start_leave_no_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "Worker", Started)
    monkeypatch.setattr(supervisor, "end_at_once", end)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    workers = supervisor.Workers(Config("served:create_app", log_config=None), 0, ())
    try:
        with pytest.raises(SystemExit) as ended:
            supervisor.Supervisor(workers, 3).run()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert ended.value.code == signal.SIGINT
    assert [each.told for each in Started.all] == [[signal.SIGTERM, signal.SIGKILL]]
