"""What tests of the command share."""

from pathlib import Path

import pytest

from tests.preview.projects import SHOP, write


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project without a provider, whose program a test writes; quick to record."""
    write(tmp_path, SHOP, stack="bad")
    return write(tmp_path, SHOP, stack="good")
