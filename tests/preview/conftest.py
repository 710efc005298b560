"""What tests of the command share."""

from pathlib import Path

import pytest

from fastapi_platform_preview import up_command
from tests.preview.deploys import Machine
from tests.preview.projects import SHOP, write


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project without a provider, whose program a test writes; quick to record."""
    write(tmp_path, SHOP, stack="bad")
    return write(tmp_path, SHOP, stack="good")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with nothing on its PATH but an engine and a kubectl."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.path))
    monkeypatch.setattr(up_command, "LOOK_SECONDS", 0.05)
    return made
