"""The image, built once for all tests of a process, and its files."""

import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.image import container
from tests.image.container import Container
from tests.image.layout import Layout

ENVIRONMENT = {"DATABASE_URL": "postgresql://orders:orders@127.0.0.1:5432/orders", "ENVIRONMENT": "local"}
"""The least that the app starts with. Nothing answers there: a live process needs no dependency."""
Start = Callable[..., Container]


def build(folder: Path) -> Layout:
    if reason := container.missing():
        pytest.skip(reason)
    done = subprocess.run([ROOT / ".ci/image/here", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return Layout(folder)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return build(tmp_path_factory.mktemp("image") / "oci")


@pytest.fixture(scope="session")
def root(image: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files, without the shells that the base brings."""
    unpacked = tmp_path_factory.mktemp("unpacked") / "root"
    unpacked.mkdir(mode=0o755)
    image.unpack(unpacked)
    assert container.remove_shells(unpacked) > 1
    return unpacked


@pytest.fixture
def start(image: Layout, root: Path, tmp_path: Path) -> Generator[Start]:
    """Start a container: `start()` with the image's own command, `start("python", "-m", …)` with another."""
    with ExitStack() as stack:

        def enter(*command: str) -> Container:
            folder = tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"
            return stack.enter_context(container.started(image, root, folder, ENVIRONMENT, command))

        yield enter
