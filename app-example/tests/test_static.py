"""What the type checker refuses, with this project's configuration."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PROGRAM = """from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def store(session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))
    session.commit()
"""
"""Forgets one `await` of two: the statement runs, and nothing is stored."""


@pytest.mark.control("async-db-driver")
@pytest.mark.processes
def test_a_call_of_the_database_that_is_not_awaited_is_an_error(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("app", "development", "migrations", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app" / "store.py").write_text(PROGRAM)
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(words, capture_output=True, check=False, cwd=tmp_path, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    (error,) = [line for line in done.stdout.splitlines() if " error: " in line]
    assert "store.py:7:" in error
    assert "(reportUnusedCoroutine)" in done.stdout
