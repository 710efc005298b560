"""Programs that fail, and what the command says about it."""

import json
from pathlib import Path

import pytest

from fastapi_platform_preview.cli import main

pytestmark = pytest.mark.processes

CRASHES = "import pulumi\nif pulumi.get_stack() == 'bad':\n    raise ValueError('no such thing')\n"


def test_a_program_that_crashes_is_named_with_its_line_and_hides_no_other_stack(
    small: Path, capfd: pytest.CaptureFixture[str]
):
    (small / "__main__.py").write_text(CRASHES)
    assert main(["preview", "--cwd", str(small)]) == 2
    text, complaints = capfd.readouterr()
    assert "shop / good" in text
    assert complaints.startswith("error: stack bad\n")
    assert "ValueError: no such thing (__main__.py, line 3)" in complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize(("content", "executable"), [("", False), ("", True), ("#!/bin/sh\nexit 3\n", True)])
def test_a_python_that_cannot_be_started_is_one_message(
    small: Path, capfd: pytest.CaptureFixture[str], content: str, executable: bool
):
    """A copied `.venv` has lost its rights, or is for another machine."""
    (small / "Pulumi.yaml").write_text("name: shop\nruntime: {name: python, options: {virtualenv: env}}\n")
    python = small / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(content)
    python.chmod(0o755 if executable else 0o644)
    assert main(["preview", "good", "--cwd", str(small)]) == 2
    heading, complaint = capfd.readouterr().err.splitlines()
    assert heading == "error: stack good"
    assert "want a Python that can be started" in complaint or "got an end before its result" in complaint


def test_what_is_installed_beside_the_command_is_no_part_of_a_programs_path(
    small: Path, capfd: pytest.CaptureFixture[str]
):
    """A program that forgot to declare a library would find it here, and nowhere else."""
    (small / "__main__.py").write_text(
        "import sys, pulumi\npulumi.export('twice', [each for each in sys.path if sys.path.count(each) > 1])\n"
    )
    assert main(["preview", "good", "--cwd", str(small), "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out)["stacks"][0]["outputs"] == {"twice": []}


def test_credentials_in_what_a_program_says_are_not_repeated(small: Path, capfd: pytest.CaptureFixture[str]):
    """Drivers put the whole address into the message of a refused connection."""
    said = "cannot connect to postgresql://u:Zx9SECRETzz@h --password=Zx9SECRETzz now"
    (small / "__main__.py").write_text(f"""import pulumi
pulumi.log.warn({said!r})
if pulumi.get_stack() == "bad":
    raise RuntimeError({said!r})
""")
    assert main(["preview", "--cwd", str(small)]) == 2
    text, complaints = capfd.readouterr()
    assert "SECRET" not in text + complaints
    shown = "cannot connect to [secret] --password=[secret] now"
    assert f"warning: {shown}" in text
    assert f"RuntimeError: {shown} (__main__.py, line 4)" in complaints


def test_nothing_that_a_program_says_steers_the_terminal(small: Path, capfd: pytest.CaptureFixture[str]):
    (small / "__main__.py").write_text(r'''
import pulumi
pulumi.export("\x1b[2J", "\x1b[31mred \u202e\x07")
if pulumi.get_stack() == "bad":
    raise ValueError("\x1b[31mred")
''')
    assert main(["preview", "--cwd", str(small)]) == 2
    text, complaints = capfd.readouterr()
    assert r"\x1b[31mred" in complaints
    assert r"\x1b[2J  \x1b[31mred \u202e" in text
    assert "\x1b" not in text + complaints


BROKEN_PLAN = """from fastapi_platform import MigrationJobArgs, SecretKey

MigrationJobArgs(
    image="shop:latest", direct_database=SecretKey("a", "b"), namespace="shop", service="UPPER", deadline_seconds=1)
"""


def test_the_problems_of_a_component_are_listed_with_their_line(small: Path, capfd: pytest.CaptureFixture[str]):
    """A program of somebody else's does not catch `PlatformError`, and need not."""
    (small / "__main__.py").write_text(BROKEN_PLAN)
    assert main(["preview", "good", "--cwd", str(small)]) == 2
    heading, *problems = capfd.readouterr().err.splitlines()
    assert heading == "error: stack good"
    assert {problem.partition(":")[0] for problem in problems} == {
        "  MigrationJobArgs.image", "  MigrationJobArgs.service", "  MigrationJobArgs.deadline_seconds",
    }  # fmt: skip
    assert all(problem.endswith("(__main__.py, line 3)") for problem in problems)


def test_a_stack_that_failed_is_in_the_document(small: Path, capfd: pytest.CaptureFixture[str]):
    (small / "__main__.py").write_text(CRASHES)
    assert main(["preview", "--cwd", str(small), "--format", "json"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert [stack["stack"] for stack in document["stacks"]] == ["good"]
    (error,) = document["errors"]
    assert error["stack"] == "bad"
    assert error["message"].startswith("the program: got ValueError: no such thing (__main__.py, line 3)")
