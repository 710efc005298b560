"""What the platform's own judges say about this service, as CI asks them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, production_environment

pytestmark = pytest.mark.processes


def judge(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of the runtime in this folder."""
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, check=False, cwd=ROOT, text=True, timeout=300
    )


def test_its_revisions_lock_no_table_and_break_no_release_that_serves() -> None:
    done = judge("fastapi_platform_runtime.lint")
    assert (done.returncode, done.stdout[:11]) == (0, "0 findings "), done.stdout + done.stderr


def test_it_keeps_every_point_of_the_contract(tmp_path: Path) -> None:
    (tmp_path / "production.env").write_text(
        "".join(f"{key}={value}\n" for key, value in production_environment().items())
    )
    given = ("--environment-file", str(tmp_path / "production.env"), "--host", "orders.test")
    done = judge("fastapi_platform_runtime.check", "app.main:create_app", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "9 ok, 0 finding, 0 not judged", done.stdout
