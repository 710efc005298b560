"""A running container of an unpacked image: what a strict orchestrator gives it, and nothing more.

Read-only root, a numeric user, no capability, no way to gain one, a small writable /tmp, its own processes and its own
network, of which it has the loopback only. Source: https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.layout import Layout

NEEDED = ("buildah", "debootstrap", "runc")
PATIENCE_SECONDS = 120
"""For a noisy machine; nothing here takes so long otherwise."""
_SHELLS = ("bash", "busybox", "dash", "rbash", "sh")
_CLONE_NEWNET = 0x40000000


def missing() -> str:
    """Why no container can be run here; empty when one can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "needs root, to build and run a container without a daemon"
    return f"needs {', '.join(absent)}: `.ci/packages` installs them on Debian" if absent else ""


def remove_shells(root: Path) -> int:
    """Take every shell out of an unpacked image; returns how many names there were."""
    found = [root / folder / name for folder in ("bin", "sbin", "usr/bin", "usr/sbin") for name in _SHELLS]
    there = {path.parent.resolve() / path.name for path in found if os.path.lexists(path)}
    for path in there:
        path.unlink()
    return len(there)


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    id: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Of its first process, as the host counts."""
        state = subprocess.run(self._runc("state", self.id), capture_output=True, check=True)
        return json.loads(state.stdout)["pid"]

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the first process, in the same confinement."""
        return subprocess.run(self._runc("exec", self.id, *command), capture_output=True, text=True, check=False,
                              timeout=PATIENCE_SECONDS)  # fmt: skip

    def terminate(self) -> None:
        """SIGTERM to process 1 alone, as at the end of a pod."""
        subprocess.run(self._runc("kill", self.id, "TERM"), check=True)

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    def connect(self, port: int) -> socket.socket:
        """A connection from inside the container's network, once something listens there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with ThreadPoolExecutor(1) as thread:  # a thread of its own, because it cannot come back
                    return thread.submit(_connect_within, self.pid, port).result()
            except (ConnectionRefusedError, subprocess.CalledProcessError):
                time.sleep(0.05)
        raise AssertionError(f"nothing listens on port {port}: {self.output}")

    def _runc(self, *words: str) -> list[str]:
        return ["runc", "--root", str(self.folder / "state"), *words]


def _connect_within(pid: int, port: int) -> socket.socket:
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter the container's network")
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


@contextmanager
def started(
    image: Layout, root: Path, folder: Path, environment: Mapping[str, str], command: Sequence[str] = ()
) -> Generator[Container]:
    """A container of the image on its unpacked files, with its own command unless another is given."""
    folder.mkdir()
    name = f"image-test-{os.getpid()}-{folder.name}"
    (folder / "config.json").write_text(json.dumps(_specification(image, root, environment, command)))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["runc", "--root", str(folder / "state"), "run", "--bundle", str(folder), name],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    container = Container(name, folder, process)
    try:
        yield container
    finally:
        if process.poll() is None:
            subprocess.run(["runc", "--root", str(folder / "state"), "kill", name, "KILL"], check=False)
            process.wait(PATIENCE_SECONDS)


def _specification(
    image: Layout, root: Path, environment: Mapping[str, str], command: Sequence[str]
) -> dict[str, Any]:
    config = image.configuration["config"]
    user, _, group = config["User"].partition(":")
    kinds = ("ambient", "bounding", "effective", "inheritable", "permitted")
    nothing: dict[str, list[str]] = {kind: [] for kind in kinds}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "args": list(command or config["Cmd"]),
            "capabilities": nothing,
            "cwd": config["WorkingDir"],
            "env": [*config["Env"], *(f"{key}={value}" for key, value in environment.items())],
            "noNewPrivileges": True,
            "user": {"uid": int(user), "gid": int(group)},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            _memory("/dev", "mode=755", "nosuid", "strictatime", "size=65536k"),
            _memory("/dev/shm", "mode=1777", "nosuid", "noexec", "nodev", "size=65536k"),
            _memory("/tmp", "mode=1777", "nosuid", "nodev", "size=65536k"),
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
    }


def _memory(destination: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}
