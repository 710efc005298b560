"""`up` as a command: when the engine is ended, what is said, and how signals reach it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fastapi_platform_preview.cli import main
from tests.preview.deploys import A_WHILE, ASKED_OFTEN, BEGINS, Machine
from tests.preview.observations import Items, newest

pytestmark = pytest.mark.processes


def up(machine: Machine, *words: str) -> int:
    return main(["up", "dev", "--cwd", str(machine.project), *words])


def test_a_deploy_that_waiting_does_not_mend_is_ended_with_the_cause(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    machine.cluster(now="oom")
    assert up(machine, "--", "--yes") == 1
    text, said = capfd.readouterr()
    assert "out of memory: the limit of container api is 32Mi" in text
    assert "the old version serves, 2 of 2" in text or "StatefulSet" not in text
    assert "waiting does not mend it" in said
    assert machine.lines("interrupts") == ["once"]
    first, refresh = machine.lines("calls")
    assert first.startswith("up --stack=dev --yes --event-log=")
    assert refresh.startswith("refresh --yes")


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


@pytest.mark.parametrize("word", ["--stack=prod", "-s", "--cwd"])
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


def started(machine: Machine, program: str, terminal: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """The command in a session of its own, once its engine has begun."""
    words = (sys.executable, "-c", program, "up", "dev", "--wait", "--cwd", str(machine.project))
    environment = os.environ | {"PATH": str(machine.path)}
    running = subprocess.Popen(
        words, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    )
    while not (machine.state / "began").exists():
        assert running.poll() is None, "it ended before its engine began"
        time.sleep(0.05)
    return running


def test_ctrl_c_in_a_terminal_reaches_the_engine_once(machine: Machine):
    """A second one would end it at once, and leave the state behind the cluster; `yes | … up` is in one as well."""
    ours, its = os.openpty()
    running = started(machine, IN_A_TERMINAL, its)
    os.write(ours, b"\x03")
    assert running.wait(60) == 9
    assert machine.lines("interrupts") == ["once"]
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 9), (signal.SIGTERM, 143)])
def test_a_signal_without_a_terminal_is_handed_on_once(machine: Machine, number: signal.Signals, code: int):
    """A pipeline that is cancelled tells only the process that it started."""
    running = started(machine, ALONE)
    running.send_signal(number)
    assert running.wait(60) == code
    assert machine.lines("interrupts") == ["once"]
