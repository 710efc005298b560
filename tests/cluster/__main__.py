"""`python -m tests.cluster up|down`: a cluster for `make up` and for the tests, from packages alone.

Owns the choice between a cluster that is there (`KUBECONFIG`, kind) and one started here, and what is printed: the path
of the kubeconfig on standard output, progress and errors on standard error.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import builds
from tests.cluster.node import CONTEXT, Node

KIND_FILE = "kind.kubeconfig"
KIND = CONTEXT.removeprefix("kind-")


def main(argv: Sequence[str] | None = None) -> int:
    """Start or take away a cluster; 1 where that cannot be done here."""
    options = _parser().parse_args(argv)
    node = Node(options.name)
    try:
        if options.action == "up":
            print(_up(node, options.kubernetes))
        else:
            _down(node)
    except (builds.NotPossibleError, builds.NotStartedError, subprocess.CalledProcessError) as exc:
        print(f"cluster: {exc}", file=sys.stderr)
        return 1
    return 0


def _up(node: Node, minor: str) -> Path:
    if given := _others(node):
        print("KUBECONFIG is set: its cluster is used as it is", file=sys.stderr)
        return Path(given)
    if not shutil.which("kind"):
        print("starting a Kubernetes of one node: half a minute once it is built", file=sys.stderr, flush=True)
        node.start(minor)
        return node.kubeconfig
    builds.CACHE.mkdir(parents=True, exist_ok=True)
    kubeconfig = builds.CACHE / KIND_FILE
    clusters = subprocess.run(("kind", "get", "clusters"), check=True, capture_output=True, text=True).stdout.split()
    action = ("export", "kubeconfig") if KIND in clusters else ("create", "cluster")
    subprocess.run(("kind", *action, "--name", KIND, "--kubeconfig", str(kubeconfig)), check=True, stdout=sys.stderr)
    return kubeconfig


def _down(node: Node) -> None:
    if _others(node):
        raise builds.NotPossibleError("KUBECONFIG names a cluster that was not started here, and it stays: unset it")
    node.stop()
    if shutil.which("kind"):
        subprocess.run(("kind", "delete", "cluster", "--name", KIND), check=True, stdout=sys.stderr)


def _others(node: Node) -> str:
    """Return the kubeconfig that is set, unless it leads to what is started here."""
    given = os.environ.get("KUBECONFIG", "")
    return "" if given in (str(node.kubeconfig), str(builds.CACHE / KIND_FILE)) else given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description=(__doc__ or "").partition("\n")[0].partition(": ")[2]
    )
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--kubernetes", choices=builds.MINORS, default=builds.MINORS[-1], help="minor (%(default)s)")
    parser.add_argument("--name", default="default", help="several can run at once (%(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
