"""`up` and `diagnose` as commands, with an engine and a cluster that say what a test has them say."""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_platform_preview import up_command
from fastapi_platform_preview.cli import main
from tests.preview.observations import RECORDED, Items, broken_pod, items, newest

pytestmark = pytest.mark.processes

PROGRAM = """
import pulumi
cluster = pulumi.ProviderResource("kubernetes", "cluster", {"context": "here"})
template = {"spec": {"containers": [{"name": "api", "image": "app-example:dev"}]}}
pulumi.CustomResource(
    "kubernetes:apps/v1:Deployment", "orders",
    {"metadata": {"name": "orders", "namespace": "orders"}, "spec": {"template": template}},
    pulumi.ResourceOptions(provider=cluster),
)
"""
URN = "urn:pulumi:dev::shop::kubernetes:apps/v1:Deployment::orders"
BEGINS = json.dumps({"resourcePreEvent": {"metadata": {"op": "update", "urn": URN}}})
ENGINE = """
echo "$@" >> {state}/calls
[ "$1" = refresh ] && exit 0
for word in "$@"; do case $word in --event-log=*) log=${{word#--event-log=}} ;; esac; done
trap 'echo once >> {state}/interrupts; exit 9' INT
echo {begins} > "$log"
touch {state}/began
until {until}; do sleep 0.05; done
exit {code}
"""
CLUSTER = """
case $1 in logs|version) exit 0 ;; esac
echo asked >> {state}/asked
if [ -e {state}/began ]; then cat {state}/now; else cat {state}/before; fi
"""
ASKED_OFTEN = '[ "$(wc -l < {state}/asked)" -gt 8 ]'
"""The engine ends by itself when the cluster was asked so often: no test waits for a clock."""


class Machine:
    """A project, and a PATH with an engine and a kubectl."""

    def __init__(self, folder: Path) -> None:
        self.project, self.state, self.path = folder / "project", folder / "state", folder / "path"
        for each in (self.project, self.state, self.path):
            each.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        (self.project / "Pulumi.dev.yaml").write_text("config: {}\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        for tool in ("cat", "sleep", "touch", "wc"):
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        self.cluster(before="oom", now="oom")
        self.install("kubectl", CLUSTER.format(state=self.state))
        self.engine()

    def install(self, name: str, script: str) -> None:
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def engine(self, *, until: str = "false", code: int = 0) -> None:
        until = until.format(state=self.state)
        script = ENGINE.format(state=self.state, begins=shlex.quote(BEGINS), until=until, code=code)
        self.install("pulumi", script)

    def cluster(self, *, before: str = "", now: str = "", edit: Callable[[Items], object] | None = None) -> None:
        for moment, name in (("before", before), ("now", now)):
            found: list[dict[str, Any]] = items(name) if name else []
            if edit is not None and found:
                edit(found)
            (self.state / moment).write_text(json.dumps({"items": found}))

    def lines(self, name: str) -> list[str]:
        file = self.state / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.path))
    monkeypatch.setattr(up_command, "LOOK_SECONDS", 0.05)
    return made


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
    machine.engine(until='[ "$(wc -l < {state}/asked)" -ge 1 ]', code=5)
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
    machine.engine(until=ASKED_OFTEN.replace("-gt 8", "-ge 1"))
    file = machine.path / "pulumi"
    file.write_text(file.read_text().replace("resourcePreEvent", "resOutputsEvent"))
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
    machine.engine(until="true")
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
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from fastapi_platform_preview.cli import main
raise SystemExit(main(sys.argv[1:]))
"""
ALONE = "import sys; from fastapi_platform_preview.cli import main; raise SystemExit(main(sys.argv[1:]))"


def started(machine: Machine, program: str, terminal: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """The command in a session of its own, once its engine has begun."""
    words = (sys.executable, "-c", program, "up", "dev", "--wait", "--cwd", str(machine.project))
    environment = os.environ | {"PATH": str(machine.path)}
    running = subprocess.Popen(
        words, env=environment, start_new_session=True, stdin=terminal, stdout=terminal, stderr=terminal
    )
    while not (machine.state / "began").exists():
        assert running.poll() is None, "it ended before its engine began"
        time.sleep(0.05)
    return running


def test_ctrl_c_in_a_terminal_reaches_the_engine_once(machine: Machine):
    """A second one would end it at once, and leave the state behind the cluster."""
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


def diagnose(machine: Machine, *words: str) -> int:
    return main(["diagnose", "dev", "--cwd", str(machine.project), *words])


def test_diagnose_says_what_is_wrong_and_with_which_code(machine: Machine, capfd: pytest.CaptureFixture[str]):
    assert diagnose(machine) == 1
    assert "out of memory" in capfd.readouterr().out
    machine.cluster(before="oom", edit=_mended)
    assert diagnose(machine) == 0
    assert "no fault" in capfd.readouterr().out


def _mended(found: Items) -> None:
    pod = broken_pod(found)
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    pod["status"]["containerStatuses"][0] |= {"ready": True, "restartCount": 0, "state": {"running": {}}}


def test_diagnose_as_data_has_every_finding(machine: Machine, capfd: pytest.CaptureFixture[str]):
    assert diagnose(machine, "--format", "json") == 1
    document = json.loads(capfd.readouterr().out)
    assert document["stack"] == "dev"
    assert [each["cause"] for each in document["findings"]] == ["out of memory: the limit of container api is 32Mi"]


def test_a_log_line_with_a_credential_is_not_printed(machine: Machine, capfd: pytest.CaptureFixture[str]):
    said = '{"severity": "ERROR", "message": "refused: postgresql://u:Zx9SECRETzz@h/d token=Zx9SECRETzz"}'
    machine.cluster(before="ready")
    machine.install("kubectl", f"[ $1 = logs ] && echo {shlex.quote(said)} || cat {machine.state}/before")
    for words in ((), ("--format", "json")):
        assert diagnose(machine, *words) == 1
        text = capfd.readouterr().out
        assert "refused: [secret]" in text
        assert "Zx9SECRETzz" not in text


@pytest.mark.parametrize(
    ("kubectl", "complaint"),
    [
        ("", "got nothing on PATH, want kubectl"),
        ("echo 'The connection to the server was refused' >&2; exit 1", "got The connection to the server was refused"),
        ("echo nonsense", "got no answer, want an answer to `kubectl get`"),
    ],
)
def test_a_cluster_that_cannot_be_asked_is_one_error(
    machine: Machine, kubectl: str, complaint: str, capfd: pytest.CaptureFixture[str]
):
    machine.remove("kubectl")
    if kubectl:
        machine.install("kubectl", kubectl)
    assert diagnose(machine) == 2
    text, said = capfd.readouterr()
    assert text == ""
    assert len(said.splitlines()) == 1
    assert complaint in said


def test_a_stack_that_is_not_deployed_is_told_as_one_cause(machine: Machine, capfd: pytest.CaptureFixture[str]):
    machine.cluster()
    nothing = f"[ $2 = namespace ] && echo 'Error (NotFound)' >&2 || cat {machine.state}/before"
    machine.install("kubectl", nothing)
    assert diagnose(machine) == 1
    assert "the stack is not deployed" in capfd.readouterr().out


def test_a_stack_without_a_cluster_to_ask_is_refused(machine: Machine, capfd: pytest.CaptureFixture[str]):
    (machine.project / "__main__.py").write_text("import pulumi\n")
    assert diagnose(machine) == 2
    assert "got 0 clusters that can be asked" in capfd.readouterr().err


def test_recordings_name_nobodys_machine():
    for file in RECORDED.iterdir():
        assert file.stat().st_size < 15_000, file
