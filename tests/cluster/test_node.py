"""Nodes come and go: several at once, of both minor versions, and nothing of them stays."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import builds
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import Node

CGROUPS = Path("/sys/fs/cgroup")


def traces() -> dict[str, set[str]]:
    """What a node could leave on a machine."""
    links = subprocess.run(("ip", "-oneline", "link"), capture_output=True, text=True, check=True).stdout
    return {
        "cgroups": {str(path) for path in CGROUPS.glob("**/fastapi-platform-*")},
        "folders": {str(path) for path in (builds.CACHE / "run").glob("*")},
        "links": {line.split(":")[1].split("@")[0].strip() for line in links.splitlines()},
        "mounts": {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()},
        "processes": {path.name for path in Path("/proc").glob("[0-9]*") if is_of_a_node(path)},
        "files": {str(path) for folder in ("/var/lib", "/var/log", "/run", "/tmp", "/etc") for path in entries(folder)},
    }


def is_of_a_node(process: Path) -> bool:
    try:
        return str(builds.CACHE).encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


def entries(folder: str) -> list[Path]:
    return [path for path in Path(folder).iterdir() if not path.name.startswith(("pytest-", "tmp"))]


def test_two_nodes_run_side_by_side_and_leave_nothing():
    try:
        builds.check_machine()
    except builds.NotPossibleError as exc:
        pytest.skip(str(exc))
    before = traces()
    nodes = {minor: Node(f"pair-{os.getpid()}-{minor}") for minor in builds.MINORS}
    try:
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(node.start, minor) for minor, node in nodes.items()]:
                started.result()
        for minor, node in nodes.items():
            kubectl = Kubectl(str(builds.kubernetes(minor) / "kubectl"), node.kubeconfig)
            (found,) = kubectl.get("nodes")["items"]
            assert found["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{minor}.")
            assert traces()["processes"] - before["processes"]
    finally:
        for node in nodes.values():
            node.stop()
    assert traces() == before
