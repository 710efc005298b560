"""The scripts that build an image and install programs, on machines that lack what they need."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

BUILD = ".ci/image/build"
NEEDED = ("basename", "bash", "cat", "cksum", "dirname", "git", "sed", "tail")


def programs(folder: Path, **fakes: str) -> str:
    """A PATH with what every system has, and stand-ins with the given scripts."""
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    for name, script in fakes.items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def run(script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment |= {"HOME": os.environ.get("HOME", "/")}
    return subprocess.run([ROOT / script, *words], env=environment, capture_output=True, text=True, check=False)


ECHO = 'printf "%s\\n" "$(basename "$0")" "$@"'
NO_DAEMON = f'[ "$1" = info ] && exit 1; {ECHO}'


@pytest.mark.parametrize(
    ("fakes", "builder"),
    [({"docker": ECHO, "podman": ECHO}, "docker"), ({"docker": NO_DAEMON, "podman": ECHO, "buildah": ECHO}, "podman"),
     ({"docker": NO_DAEMON, "buildah": ECHO}, "buildah")],
)
def test_the_image_is_built_with_what_works_here(fakes: dict[str, str], builder: str, tmp_path: Path):
    done = run(BUILD, "orders:1", "--build-arg", "BASE_IMAGE=other", PATH=programs(tmp_path / "bin", **fakes))
    words = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert words[0] == builder
    assert words[words.index("--build-context") + 1] == "runtime=runtime"
    assert words[words.index("--tag") + 1] == "orders:1"
    assert words[-2:] == ["BASE_IMAGE=other", "app-example"]
    assert any(word.startswith("REVISION=") and len(word) == len("REVISION=") + 40 for word in words)
    assert ("--timestamp" in words) is (builder != "docker")


def test_without_a_builder_it_says_what_is_missing(tmp_path: Path):
    done = run(BUILD, "orders:1", PATH=programs(tmp_path / "bin", docker=NO_DAEMON))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "make image: nothing here builds an image. Start docker (with buildx), or install podman or buildah."
    ]


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_root_the_missing_packages_are_named(ci: str, status: int, tmp_path: Path):
    """And in CI that is a failure: a suite that skips what it cannot start proves nothing."""
    done = run(".ci/packages", PATH=programs(tmp_path / "bin", id="echo 1000"), CI=ci)
    assert done.returncode == status
    assert "on Debian, as root: apt-get install buildah" in done.stderr


def test_what_verifies_a_base_image_is_installed_even_where_debootstrap_is(tmp_path: Path):
    done = run(".ci/packages", PATH=programs(tmp_path / "bin", id="echo 1000", debootstrap=""),
               DEBIAN_KEYRING=str(tmp_path / "none"))
    named = done.stderr.splitlines()[-1].split()
    assert {"debian-archive-keyring", "gpgv"} <= set(named)
    assert "debootstrap" not in named


def test_a_base_image_is_made_of_packages_whose_signature_was_checked(tmp_path: Path):
    """Without a keyring, debootstrap warns and goes on; the mirror is asked over http."""
    fakes = programs(tmp_path / "bin", buildah="exit 1", debootstrap=f"{ECHO}; exit 1")
    done = run(".ci/image/base", PATH=f"{fakes}:{os.environ['PATH']}", XDG_CACHE_HOME=str(tmp_path),
               DEBIAN_KEYRING="/keys")
    assert done.returncode == 1
    assert {"debootstrap", "--force-check-gpg", "--keyring=/keys"} <= set(done.stderr.splitlines())
