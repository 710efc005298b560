"""Nodes come and go: several at once, of both minor versions, and nothing of them stays."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import Node

CGROUPS = Path("/sys/fs/cgroup")
LINKS = Path("/sys/class/net")
SHARED_FOLDERS = tuple(map(Path, ("/etc/cni", "/run", "/var/lib", "/var/log")))


def traces(nodes: Iterable[Node]) -> set[str]:
    """What nodes have on this machine, and what programs put where all of them do."""
    shared = (path for folder in SHARED_FOLDERS if folder.exists() for path in folder.iterdir())
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    found = {f"file {path}" for path in shared}
    for node in nodes:
        found |= {f"cgroup {path}" for path in CGROUPS.glob(f"**/fastapi-platform-{node.name}")}
        found |= {f"file {path}" for path in [node.folder] if path.exists()}
        found |= {f"mount {path}" for path in mounts if str(node.folder) in path}
        found |= {f"process {path.name}" for path in Path("/proc").glob("[0-9]*") if is_of(node, path)}
    return found


def is_of(node: Node, process: Path) -> bool:
    try:
        return str(node.folder).encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


def test_two_nodes_run_side_by_side_and_leave_nothing():
    try:
        builds.check_machine()
    except builds.NotPossibleError as exc:
        pytest.skip(str(exc))
    nodes = {minor: Node(f"pair-{os.getpid()}-{minor}") for minor in builds.MINORS}
    before = traces(nodes.values())
    links: list[Path] = []
    try:
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(node.start, minor) for minor, node in nodes.items()]:
                started.result()
        for minor, node in nodes.items():
            kubectl = Kubectl(str(builds.kubernetes(minor) / "kubectl"), node.kubeconfig)
            (found,) = kubectl.get("nodes")["items"]
            assert found["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{minor}.")
            links.append(LINKS / (node.folder / "link").read_text())
            assert links[-1].exists()
            kinds = {each.split()[0] for each in traces([node]) - before}
            assert kinds == {"cgroup", "file", "process"}
    finally:
        for node in nodes.values():
            node.stop()
    assert traces(nodes.values()) - before == set()
    assert not any(link.exists() for link in links)
