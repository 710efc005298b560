"""What tests of the command share."""

from pathlib import Path

import pytest


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project without a provider, whose program a test writes; quick to record."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "__main__.py").touch()
    for stack in ("bad", "good"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    return tmp_path
