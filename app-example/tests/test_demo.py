"""The demo's end, whenever it comes: nothing runs on, nothing is left on the disk."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from development import services
from development.demo import STOP_SECONDS
from development.demo import main as demo_main

pytestmark = [pytest.mark.services, pytest.mark.skipif(bool(services.missing()), reason="; ".join(services.missing()))]
WAIT_SECONDS = 90


@dataclass(frozen=True)
class Demo:
    """A demo in a terminal of its own."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    """Where it keeps everything; also how its processes are recognised."""

    def said(self) -> str:
        """Return what it and its parts have printed."""
        return (self.folder.parent / "said").read_text()

    def processes(self) -> dict[int, str]:
        """Return the command lines of its processes, the demo's own left out."""
        found: dict[int, str] = {}
        mark = os.fsencode(self.folder)
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command, environment = (each / "cmdline").read_bytes(), (each / "environ").read_bytes()
                if mark in command + environment and int(each.name) != self.process.pid:
                    found[int(each.name)] = command.replace(b"\0", b" ").decode()
        return found

    def until(self, met: Callable[[], bool]) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not met():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)

    def processes_of(self, program: str) -> list[int]:
        """Return those whose command line names a program."""
        return [number for number, command in self.processes().items() if program in command]

    def ctrl_c(self) -> None:
        """Tell it, and all that would hear a terminal's Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ends_and_leaves_nothing(self) -> None:
        """Wait for its end, and look for what is still there."""
        assert self.process.wait(WAIT_SECONDS) == 0, self.said()
        assert "Traceback" not in self.said()
        assert self.processes() == {}
        assert list(self.folder.iterdir()) == []


@pytest.fixture
def demo() -> Generator[Demo]:
    with tempfile.TemporaryDirectory(prefix="demo-") as name, running(Path(name)) as started:
        yield started


@contextmanager
def running(folder: Path) -> Generator[Demo]:
    folder.chmod(0o755)
    kept = folder / "kept"
    kept.mkdir()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "development.demo", "--port", str(services.free_port())],
            env={**os.environ, "TMPDIR": str(kept)},
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
            stderr=said,
            stdout=said,
        )
    demo = Demo(process, kept)
    try:
        yield demo
    finally:
        process.kill()
        process.wait()
        for each in demo.processes():
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def test_a_port_that_is_taken_is_told_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert demo_main(["--port", str(listener.getsockname()[1])]) == 1
    said = capsys.readouterr().err
    assert "or choose another port:\n  make demo DEMO='--port " in said
    assert "Starting" not in said


def test_a_port_that_cannot_be_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo_main(["--port", "99999"])
    assert "want a TCP port from 1 to 65535" in capsys.readouterr().err


def test_ctrl_c_twice_leaves_nothing_behind(demo: Demo) -> None:
    demo.until(lambda: "The service is ready" in demo.said())
    for worker in demo.processes_of("app.worker"):
        os.kill(worker, signal.SIGSTOP)  # It would take all the time that it is given.
    demo.ctrl_c()
    demo.until(lambda: "Stopping: " in demo.said())
    began = time.monotonic()
    demo.ctrl_c()
    demo.ends_and_leaves_nothing()
    assert time.monotonic() - began < STOP_SECONDS * 0.75


@pytest.mark.parametrize("program", ["initdb", "fastapi_platform_runtime.migrate"])
def test_ctrl_c_before_it_is_ready_is_a_clean_stop_too(demo: Demo, program: str) -> None:
    demo.until(lambda: bool(demo.processes_of(program)))
    demo.ctrl_c()
    demo.ends_and_leaves_nothing()
