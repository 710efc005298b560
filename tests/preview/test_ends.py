"""How a run of the command ends early: output that nobody takes, Ctrl-C, programs that take their process along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.preview.projects import SHOP, write

pytestmark = pytest.mark.processes

COMMAND = [sys.executable, "-c", "import sys; from fastapi_platform_preview.cli import main; sys.exit(main())"]
ON_A_TERMINAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A shell's background job, as CI may be one, ignores Ctrl-C, and so does whatever it starts."""
LATER = "import pulumi, time\ntime.sleep(2 if pulumi.get_stack() == 'later' else 0)\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project without a provider, whose program a test writes."""
    return write(tmp_path, SHOP)


def shell(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """A line of bash in which `$B` is the command; its exit code is that of the command."""
    script = 'B() { "$PYTHON" -c "$CODE" "$@"; }\n' + f"set -o pipefail\n{command}"
    variables = os.environ | {"PYTHON": COMMAND[0], "CODE": COMMAND[2]}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "command",
    ["B preview > /dev/full", "B preview --format json > /dev/full", "B render dev > /dev/full", "B --help > /dev/full",
     "B preview >&-", "B render dev >&-", "B doctor preview >&-"],
)
def test_an_output_that_cannot_be_written_is_one_message(small: Path, command: str):
    (small / "__main__.py").write_text("import pulumi\npulumi.export('a', 'b')\n")
    if command.startswith("B render"):
        manifest = "{'metadata': {'name': 'it'}}"
        program = f"import pulumi\npulumi.CustomResource('kubernetes:core/v1:ConfigMap', 'it', {manifest})\n"
        (small / "__main__.py").write_text(program)
    done = shell(small, command)
    (complaint,) = done.stderr.splitlines()
    assert complaint.startswith("error: standard output: got a stream that cannot be written")
    assert done.returncode == 2


def test_a_reader_that_has_seen_enough_is_not_a_finding(small: Path):
    """`| head -1`: 1 would mean that a rule is violated."""
    (small / "Pulumi.later.yaml").touch()
    (small / "__main__.py").write_text(LATER)
    done = shell(small, "B preview | head -1")
    assert (done.stdout, done.stderr) == ("shop / dev\n", "")
    assert done.returncode == 141


def test_without_standard_error_the_output_is_still_there(small: Path):
    done = shell(small, "B preview 2>&-")
    assert "shop / dev" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_quiet_and_leaves_no_process_behind(small: Path, number: signal.Signals, code: int):
    """A terminal sends Ctrl-C to everything that it started, and each Python would print where it was."""
    (small / "__main__.py").write_text(
        "import os, subprocess\n"
        "own = subprocess.Popen(['sleep', '60'])\n"
        "open('pids.new', 'w').write(f'{os.getpid()} {own.pid}')\n"
        "os.rename('pids.new', 'pids')\n"
        "own.wait()\n"
    )
    command = subprocess.Popen(
        [*COMMAND[:2], ON_A_TERMINAL + COMMAND[2], "preview"],
        cwd=small, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (small / "pids").exists():
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(command.pid, number)
    assert command.communicate(timeout=30) == ("", "")
    assert command.returncode == code
    assert [pid for pid in (small / "pids").read_text().split() if _runs(int(pid))] == []


def test_what_a_program_has_started_ends_with_it(small: Path):
    """A database for a test, left behind by a program that fails, would run on for ever."""
    (small / "__main__.py").write_text(
        "import subprocess\n"
        "own = subprocess.Popen(['sleep', '60'])\n"
        "open('pid', 'w').write(str(own.pid))\n"
        "raise ValueError('no such thing')\n"
    )
    assert shell(small, "B preview 2> complaints").returncode == 2
    assert not _runs(int((small / "pid").read_text()))


def test_a_run_that_was_told_to_outlive_its_terminal_does(small: Path):
    """`nohup` ignores SIGHUP for everything that it starts."""
    (small / "__main__.py").write_text("import os, signal\nos.kill(os.getppid(), signal.SIGHUP)\n")
    done = shell(small, "trap '' HUP; B preview")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_that_cannot_show_a_character_gets_its_number(small: Path):
    (small / "__main__.py").write_text("import pulumi\npulumi.export('name', 'Gr\u00f6\u00dfe')\n")
    done = shell(small, "export PYTHONIOENCODING=ascii; B preview; B preview gr\u00f6n")
    assert r"Gr\xf6\xdfe" in done.stdout
    assert r"Pulumi.gr\xf6n.yaml: got no such file" in done.stderr


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except OSError:
        return False


@pytest.mark.parametrize(
    ("program", "complaint"),
    [("import sys\nsys.exit(3)\n", "(exit code 3)"), ("import os\nos._exit(4)\n", "(exit code 4)"),
     ("import os\nos.kill(os.getpid(), 9)\n", "(signal 9)")],
)
def test_a_program_that_ends_its_process_is_told_how(small: Path, program: str, complaint: str):
    (small / "__main__.py").write_text(program)
    done = shell(small, "B preview")
    heading, line = done.stderr.splitlines()
    assert heading == "error: stack dev"
    assert line.startswith("  the program: got an end before its result ")
    assert complaint in line
    assert done.returncode == 2


def test_a_project_without_a_program_ends_at_once(small: Path):
    """It ran for ever: Python found the policy pack's `__main__`, which serves."""
    (small / "__main__.py").unlink()
    done = shell(small, "B preview")
    assert "Pulumi.yaml.main: got no __main__.py in" in done.stderr
    assert done.returncode == 2
