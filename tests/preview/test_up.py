"""`up` as a command: when the engine is ended, what is said, and how signals reach it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from fastapi_platform_preview import diagnose_command, streams, up_command
from fastapi_platform_preview.cli import main
from fastapi_platform_preview.diagnosis.ask import NoAnswerError
from fastapi_platform_preview.diagnosis.stack import Subject
from fastapi_platform_preview.diagnosis.watch import Watch
from fastapi_platform_preview.engine import Engine
from tests.preview.deploys import A_WHILE, ASKED_OFTEN, BEGINS, TOLD, Machine
from tests.preview.observations import Items, broken_pod, newest

pytestmark = pytest.mark.processes
_POPEN = subprocess.Popen


def up(machine: Machine, *words: str) -> int:
    return main(["up", "dev", "--cwd", str(machine.project), *words])


def test_a_deploy_that_waiting_does_not_mend_is_ended_with_the_cause(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    machine.cluster(now="oom")
    assert up(machine, "--", "--yes") == 1
    text, said = capfd.readouterr()
    assert "out of memory: the limit of container api is 32Mi" in text
    assert "waiting does not mend it" in said
    assert machine.lines("interrupts") == ["once"]
    first, refresh = machine.lines("calls")
    assert first.startswith("up --stack=dev --yes --event-log=")
    assert refresh.startswith("refresh --yes")


def test_an_engine_that_is_slow_to_write_its_state_is_not_interrupted_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(up_command, "END_SECONDS", 0.01)
    machine.cluster(now="oom")
    assert up(machine) == 1
    assert machine.lines("interrupts") == ["once"]


def test_a_deploy_that_ended_well_meanwhile_is_not_told_as_ended(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    decided = Watch.hopeless

    def too_late(watch: Watch, *words: Any) -> Any:
        causes = decided(watch, *words)
        (machine.state / "told").touch()
        (pid,) = machine.lines("began")
        os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOWAIT)
        return causes

    monkeypatch.setattr(Watch, "hopeless", too_late)
    machine.cluster(now="oom")
    machine.engine(until=TOLD)
    assert up(machine) == 0
    assert "the deploy is ended" not in capfd.readouterr().err
    assert len(machine.lines("calls")) == 1


def test_a_cluster_that_falls_silent_does_not_take_the_cause_along(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def silent(*_: object) -> None:
        raise NoAnswerError("no answer after 20 s")

    monkeypatch.setattr(Subject, "complete", silent)
    machine.cluster(now="oom")
    assert up(machine) == 1
    assert "out of memory: the limit of container api is 32Mi" in capfd.readouterr().out
    assert machine.lines("calls")[1].startswith("refresh --yes")


def test_an_output_that_cannot_be_written_leaves_no_state_behind(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(diagnose_command, "show", closed)
    monkeypatch.setattr(streams, "abandon", lambda: None)
    machine.cluster(now="oom")
    assert up(machine) == 141
    assert machine.lines("calls")[1].startswith("refresh --yes")


def test_what_a_container_says_does_not_steer_the_terminal(machine: Machine, capfd: pytest.CaptureFixture[str]):
    machine.cluster(now="crash", edit=_steering)
    assert up(machine) == 1
    said = capfd.readouterr().err
    assert r"cannot start: \x1b[2J" in said
    assert "\x1b" not in said


def _steering(found: Items) -> None:
    status = broken_pod(found)["status"]["containerStatuses"][0]
    status["lastState"]["terminated"]["message"] = "cannot start: \x1b[2Jit is all well"


def test_a_refresh_that_takes_too_long_may_write_its_state(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    ends = Engine.end

    def once_it_runs(running: Engine) -> None:
        if not running.wait(0):
            machine.wait_for("refreshing")
        ends(running)

    monkeypatch.setattr(up_command, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(Engine, "end", once_it_runs)
    machine.cluster(now="oom")
    machine.engine(refresh=SLOW_REFRESH)
    assert up(machine) == 1
    assert machine.lines("written") == ["the state"]
    assert "the state may be behind the cluster: pulumi refresh --stack=dev" in capfd.readouterr().err


SLOW_REFRESH = """
    def write(*_):
        note("written", "the state")
        sys.exit(1)
    signal.signal(signal.SIGINT, write)
    note("refreshing", "")
    while True:
        waits()
"""


def test_with_wait_the_engine_decides_and_the_cause_is_told_at_its_end(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    machine.cluster(now="oom")
    machine.engine(until=A_WHILE, code=5)
    assert up(machine, "--wait") == 5
    assert "out of memory" in capfd.readouterr().out
    assert machine.lines("interrupts") == []


def test_what_was_broken_before_never_ends_a_deploy(machine: Machine):
    machine.cluster(before="oom", now="oom")
    machine.engine(until=ASKED_OFTEN)
    assert up(machine) == 0
    assert machine.lines("interrupts") == []


def test_going_back_from_a_broken_release_is_not_ended(machine: Machine):
    """Its pods crash on, once more while the engine works, until the good ones replace them."""
    machine.cluster(now="oom", edit=_another_release)
    machine.engine(until=ASKED_OFTEN)
    assert up(machine) == 0
    assert machine.lines("interrupts") == []


def _another_release(found: Items) -> None:
    newest(found)["spec"]["template"]["spec"]["containers"][0]["image"] = "app-example:broken"


def test_nothing_is_ended_while_the_engine_waits_for_nothing_that_is_broken(machine: Machine):
    machine.cluster(now="oom")
    machine.engine(until=A_WHILE, begins=BEGINS.replace("resourcePreEvent", "resOutputsEvent"))
    assert up(machine) == 0
    assert machine.lines("interrupts") == []


def test_a_cluster_that_does_not_answer_is_no_reason(machine: Machine, capfd: pytest.CaptureFixture[str]):
    machine.install("kubectl", f"echo asked >> {machine.state}/asked; exit 1")
    machine.engine(until=ASKED_OFTEN, code=7)
    assert up(machine) == 7
    assert "error" not in capfd.readouterr().err


@pytest.mark.parametrize("word", ["--skip-preview", "--show-config", "-y", "-mships", "-t=urn:pulumi:dev::shop::s"])
def test_other_words_go_to_the_engine(machine: Machine, word: str):
    machine.engine(until="True")
    assert up(machine, "--", word) == 0
    assert word in machine.lines("calls")[0]


def test_a_cluster_that_answers_only_later_is_watched_from_then_on(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    """What is broken in its first answer may have been so before."""
    machine.cluster(now="oom")
    answers = f"[ $1 = logs ] && exit; echo asked >> {machine.state}/asked"
    machine.install("kubectl", f"{answers}; [ -e {machine.state}/began ] || exit 1; cat {machine.state}/now")
    machine.engine(until=ASKED_OFTEN)
    assert up(machine) == 0
    assert machine.lines("interrupts") == []
    assert "what is broken in its first answer ends nothing" in capfd.readouterr().err


def test_without_kubectl_the_engine_deploys_unwatched_and_that_is_said(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    machine.remove("kubectl")
    machine.engine(until="True")
    assert up(machine) == 0
    assert "nobody watches this deploy: kubectl: got nothing on PATH" in capfd.readouterr().err


def test_without_pulumi_one_error_says_how_to_get_it(machine: Machine, capfd: pytest.CaptureFixture[str]):
    machine.remove("pulumi")
    assert up(machine) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "https://www.pulumi.com/docs/install/" in line


@pytest.mark.parametrize("word", ["--stack=prod", "-s", "-sprod", "-ysprod", "--cwd", "-Cdir"])
def test_another_stack_than_the_watched_one_is_refused(
    machine: Machine, word: str, capfd: pytest.CaptureFixture[str]
):
    assert up(machine, "--", word) == 2
    assert f"Leave {word} out" in capfd.readouterr().err
    assert machine.lines("calls") == []


IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
from fastapi_platform_preview.cli import main
raise SystemExit(main(sys.argv[1:]))
"""
ALONE = "import sys; from fastapi_platform_preview.cli import main; raise SystemExit(main(sys.argv[1:]))"


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(machine: Machine) -> Generator[Start]:
    """Starts the command in a session of its own, until its engine has begun; nothing of it outlives the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def starts(program: str, terminal: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        words = (sys.executable, "-c", program, "up", "dev", "--wait", "--cwd", str(machine.project))
        environment = os.environ | {"PATH": str(machine.path)}
        begun.append(
            subprocess.Popen(
                words, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=terminal,
                stderr=terminal,
            )
        )  # fmt: skip
        machine.wait_for("began")
        return begun[-1]

    try:
        yield starts
    finally:
        for each in begun:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()


def test_ctrl_c_in_a_terminal_reaches_the_engine_once(machine: Machine, start: Start):
    """A second one would end it at once, and leave the state behind the cluster; `yes | … up` is in one as well."""
    ours, its = os.openpty()
    try:
        running = start(IN_A_TERMINAL, its)
        os.write(ours, b"\x03")
        assert running.wait(60) == 9
    finally:
        os.close(ours)
        os.close(its)
    assert machine.lines("interrupts") == ["once"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 9), (signal.SIGTERM, 143)])
def test_a_signal_without_a_terminal_is_handed_on_once(
    machine: Machine, start: Start, number: signal.Signals, code: int
):
    """A pipeline that is cancelled tells only the process that it started."""
    running = start(ALONE)
    running.send_signal(number)
    assert running.wait(60) == code
    assert machine.lines("interrupts") == ["once"]


def test_a_pipeline_that_asks_twice_leaves_the_engine_its_grace(machine: Machine, start: Start):
    """SIGINT, then SIGTERM: the engine is writing its state."""
    machine.engine(lets_go=TOLD)
    running = start(ALONE)
    running.send_signal(signal.SIGINT)
    machine.wait_for("interrupts")
    running.send_signal(signal.SIGTERM)
    (machine.state / "told").touch()
    assert running.wait(60) == 143
    assert machine.lines("interrupts") == ["once"]


def test_an_interrupt_while_the_engine_starts_reaches_it_once(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    def interrupted_meanwhile(*words: Any, **more: Any) -> Any:
        process = _POPEN(*words, **more)
        if "--event-log" in str(words):
            machine.wait_for("began")
            signal.raise_signal(signal.SIGINT)
        return process

    monkeypatch.setattr("fastapi_platform_preview.engine._in_foreground", lambda: False)
    monkeypatch.setattr(subprocess, "Popen", interrupted_meanwhile)
    assert up(machine, "--wait") == 9
    assert machine.lines("interrupts") == ["once"]
