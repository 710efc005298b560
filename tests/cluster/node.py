"""One node, started and taken away again.

Owns the namespaces, the link to them, the cgroup and the folder of a node, so that nothing of it is left afterwards and
two never meet. Everything runs as children of one process in namespaces of its own (`node.sh`); the machine sees one
end of a link and nothing else, and reaches the API server over it.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from tests.cluster import builds

Found = TypeVar("Found")
HERE = Path(__file__).parent
CONTEXT = "kind-fastapi-platform"
"""Name of the context in the kubeconfig, the one that the `local` stack asks for."""
START_SECONDS = 120
"""Longest that a node takes from its first process to Ready; an idle machine needs 20."""
_AWAITED = {"node/node": "Ready", "deployment/coredns": "Available", "deployment/metrics-server": "Available"}
_VOLUMES = 8
"""Volumes that claims can take at the same time."""


@dataclass(frozen=True, slots=True)
class Node:
    """A cluster of one node; its name is unique on this machine."""

    name: str

    @property
    def folder(self) -> Path:
        """Where all files of the node are."""
        return builds.CACHE / "run" / self.name

    @property
    def kubeconfig(self) -> Path:
        """Where to find it, and as whom."""
        return self.folder / "kubeconfig"

    @property
    def is_running(self) -> bool:
        """Whether its processes are there."""
        return self._outer() is not None

    def start(self, minor: str) -> None:
        """Build what is missing, start the node, and wait until it is ready; one that runs is left alone.

        Raises:
            NotPossibleError: This machine cannot; says why.
            NotStartedError: It can, and the node did not come up; says what it said.
        """
        if self.is_running:
            return
        self.stop()
        builds.check_machine()
        programs = builds.kubernetes(minor)
        images = _images()
        self._prepare(images)
        try:
            self._start(programs)
            self._wait(programs)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes of the node and remove what it left; one that is not there is left alone."""
        outer = self._outer()
        if outer is not None:
            inner = _child(outer)
            os.kill(outer, signal.SIGKILL)
            _wait_for_end(outer, inner)
        with suppress(FileNotFoundError):
            # The kernel takes its time with a network that is gone, and the link stays for as long.
            link = (self.folder / "link").read_text()
            subprocess.run(("ip", "link", "delete", link), capture_output=True, check=False)
        for group in _groups(self._cgroup):
            _remove_group(group)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """The node's own, at which its pods reach what listens in its network."""
        cluster = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        return urlsplit(str(cluster["server"])).hostname or ""

    def enter_network(self, *more: str) -> list[str]:
        """Return the beginning of a command that runs in the network of the node and its pods."""
        outer = self._outer()
        if outer is None:
            raise builds.NotStartedError(f"the node {self.name} does not run")
        return ["nsenter", "--target", str(_child(outer)), "--net", *more]

    def tag_image(self, image: str, name: str) -> None:
        """Give an image of the node another name, under which it is another release."""
        command = ("ctr", "--namespace", "k8s.io", "images", "tag", "--force", image, name)
        subprocess.run((*self.enter_network("--mount"), *command), check=True, capture_output=True)

    @property
    def _cgroup(self) -> str:
        return f"fastapi-platform-{self.name}"

    def _outer(self) -> int | None:
        with suppress(FileNotFoundError, ValueError):
            pid, started = map(int, (self.folder / "pid").read_text().split())
            if _start_time(pid) == started:
                return pid
        return None

    def _prepare(self, images: list[Path]) -> None:
        for name in ("images", "log", "pki", "tmp", "addons", "volumes"):
            (self.folder / name).mkdir(parents=True)
        for image in images:
            (self.folder / "images" / image.name).symlink_to(image)
        for manifest in (*(HERE / "manifests").iterdir(), *builds.custom_resources()):
            shutil.copy(manifest, self.folder / "addons")
        for number in range(_VOLUMES):
            (self.folder / "volumes" / f"volume-{number}").mkdir()
        (self.folder / "addons" / "volumes.yaml").write_text(yaml.safe_dump_all(_volumes(self.folder / "volumes")))
        (self.folder / "token").write_text(secrets.token_hex(16))
        (self.folder / "token").chmod(0o600)
        for group in _groups(self._cgroup, existing=False):
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (group / name).exists() and group.parent.name == "cpuset":
                    (group / name).write_text((group.parent / name).read_text())

    def _start(self, programs: Path) -> None:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
        with builds.locked("links"), (self.folder / "log" / "node").open("wb") as log:
            number = next(number for number in range(1, 255) if not Path(f"/sys/class/net/fpk{number}").exists())
            host, node = f"10.231.{number}.1", f"10.231.{number}.2"
            self._write_kubeconfig(node)
            command += [str(HERE / "node.sh"), str(self.folder), str(programs), node, host, self._cgroup]
            quiet = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
            logged = [(os.POSIX_SPAWN_DUP2, log.fileno(), output) for output in (1, 2)]
            # Not a Popen, which complains when it goes before its process does.
            outer = os.posix_spawnp("unshare", command, os.environ, file_actions=[*quiet, *logged], setsid=True)
            (self.folder / "pid").write_text(f"{outer} {_start_time(outer)}")
            inner = _until(lambda: _child(outer), "its first process", 10)
            _ip("link", "add", f"fpk{number}", "type", "veth", "peer", "name", "eth0", "netns", str(inner))
            (self.folder / "link").write_text(f"fpk{number}")
            _ip("address", "add", f"{host}/24", "dev", f"fpk{number}")
            _ip("link", "set", f"fpk{number}", "up")

    def _wait(self, programs: Path) -> None:
        kubectl = (str(programs / "kubectl"), "--kubeconfig", str(self.kubeconfig))
        started = self.folder / "started"
        _until(lambda: started.exists() or not self.is_running, "its processes", START_SECONDS)
        if not started.exists():
            raise builds.NotStartedError(f"the node did not start:\n{self._said()}")
        for what, condition in _AWAITED.items():
            options = (f"--for=condition={condition}", f"--timeout={START_SECONDS}s", "--namespace=kube-system")
            command = (*kubectl, "wait", what, *options)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise builds.NotStartedError(f"{what} does not become ready: {done.stderr}\n{self._said()}")

    def _said(self) -> str:
        told: list[str] = []
        for log in sorted((self.folder / "log").iterdir()):
            lines = log.read_text(errors="replace").splitlines()
            told += [f"{log.name}: {line}" for line in lines[-5:]]
        return "\n".join(told)

    def _write_kubeconfig(self, address: str) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": CONTEXT,
                    "cluster": {
                        "server": f"https://{address}:6443",
                        "certificate-authority": str(self.folder / "pki" / "ca.crt"),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": (self.folder / "token").read_text()}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": "admin"}}],
            "current-context": CONTEXT,
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))


def _images() -> list[Path]:
    binaries = [str(folder) for folder in (builds.pause(), *builds.addons())]
    with builds.locked("images"):
        command = (str(HERE / "images.sh"), str(builds.CACHE / "images"), *binaries)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines()]


def _volumes(folder: Path) -> Iterator[dict[str, Any]]:
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node"]}
    for each in sorted(folder.iterdir()):
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": each.name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "20Gi"},
                "local": {"path": str(each)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "local",
            },
        }


def _groups(name: str, *, existing: bool = True) -> list[Path]:
    """Return the group's folder in each hierarchy: one of the second version, several of the first."""
    if (builds.CGROUPS / "cgroup.controllers").exists():
        parents = [builds.CGROUPS]
    else:
        parents = [each for each in builds.CGROUPS.iterdir() if each.is_dir() and not each.is_symlink()]
    return [parent / name for parent in parents if not existing or (parent / name).exists()]


def _remove_group(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        # A group is busy for a moment after its last process ended.
        _until(lambda folder=folder: _removed(Path(folder)), f"the end of {folder}", 10)


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _child(pid: int) -> int | None:
    with suppress(FileNotFoundError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return None


def _start_time(pid: int) -> int | None:
    """Return when a process began, which tells it from a later one with the same number."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    return None


def _wait_for_end(*pids: int | None) -> None:
    for pid in filter(None, pids):
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        _until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}", 30)


def _until(find: Callable[[], Found], what: str, seconds: float) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            raise builds.NotStartedError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.1)
    return found


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True)
