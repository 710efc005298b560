"""Kubernetes and what a cluster needs beside it, built from Go modules.

Owns which versions there are and where their programs lie: in a cache outside the tree, under a name that changes with
what they are built from. Deliberately no downloads of binaries: the module proxy is a package index like any other.
Source: https://go.dev/ref/mod#go-mod-file-tool
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastapi-platform" / "cluster"
MINORS = tuple(sorted(folder.name for folder in (HERE / "kubernetes").iterdir()))
"""The minor versions of Kubernetes that there is a module for, the oldest first."""
CGROUPS = Path("/sys/fs/cgroup")
TRIAL = "mount -t tmpfs tmpfs /mnt; ip link add one type veth peer name other; iptables -t nat -L >/dev/null"
"""What a node does in namespaces of its own, tried there."""
GATEWAY_API = "sigs.k8s.io/gateway-api"
PROGRAMS = (
    *("containerd", "ctr", "runc", "iptables", "ip", "unshare", "openssl", "buildah", "debootstrap", "go"),
)
"""What a node is made of beside Kubernetes; Debian's packages bring all of it."""


class NotPossibleError(RuntimeError):
    """This machine cannot run a cluster; says what is missing and how to get it."""


class NotStartedError(RuntimeError):
    """A cluster that this machine can run did not come up."""


def check_machine() -> None:
    """Make sure that a cluster can be started here.

    Raises:
        NotPossibleError: It cannot.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotPossibleError("a cluster of packages needs Linux and root; or set KUBECONFIG to one that is there")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if not Path("/usr/lib/cni/ptp").exists():
        missing.append("containernetworking-plugins")
    if missing:
        fix = "`.ci/packages` installs all of it on Debian; Go 1.26 comes from https://go.dev/dl/"
        raise NotPossibleError(f"not installed: {', '.join(missing)}; {fix}")
    command = ("unshare", "--net", "--mount", "--pid", "--fork", "sh", "-ec", TRIAL)
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NotPossibleError(f"namespaces, links or mounts of its own are not to be had here: {tried.stderr.strip()}")
    groups = [path for path in CGROUPS.iterdir() if path.is_dir() and not os.access(path, os.W_OK)]
    if groups:
        raise NotPossibleError(f"control groups are not to be had here: {groups[0]} cannot be written")


def kubernetes(minor: str) -> Path:
    """Return the folder with the control plane, kubelet, kube-proxy, kubectl and etcd of a minor version."""
    module = HERE / "kubernetes" / minor
    version = _required(module, "k8s.io/kubernetes")
    stamp = "k8s.io/component-base/version"
    numbers = version.removeprefix("v").split(".")
    flags = f"-X {stamp}.gitVersion={version} -X {stamp}.gitMajor={numbers[0]} -X {stamp}.gitMinor={numbers[1]}"
    return _built(f"Kubernetes {version}", module, flags, "tool")


def addons() -> list[Path]:
    """Return the folders with CoreDNS and metrics-server."""
    return [_built(module.name, module, "", "tool") for module in sorted((HERE / "addons").iterdir())]


def pause() -> Path:
    """Return the folder with the process that holds a pod's namespaces."""
    return _built("pause", HERE / "pause", "", ".")


def custom_resources() -> list[Path]:
    """Return the definitions of the resources that Kubernetes itself does not bring.

    The Gateway API's are in its Go module. Those of a cloud are nowhere to be had as a package: the variable
    CUSTOM_RESOURCES names a folder with them, where there is one.
    """
    module = HERE / "crds"
    command = ("go", "mod", "download", "-json", GATEWAY_API)
    done = subprocess.run(command, cwd=module, check=True, capture_output=True, text=True)
    folders = [Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "standard"]
    if given := os.environ.get("CUSTOM_RESOURCES"):
        folders.append(Path(given))
    return [file for folder in folders for file in sorted(folder.glob("*.yaml"))]


@contextmanager
def locked(name: str) -> Generator[None]:
    """Let one process at a time make something of the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _built(what: str, module: Path, flags: str, packages: str) -> Path:
    inputs = [*sorted(module.glob("go.*")), *sorted(module.glob("*.go"))]
    key = hashlib.sha256(b"\0".join([flags.encode(), *(path.read_bytes() for path in inputs)])).hexdigest()[:12]
    folder = CACHE / "bin" / f"{module.name}-{key}"
    with locked("build"):
        if folder.exists():
            return folder
        print(f"building {what}, once: minutes on two cores", file=sys.stderr, flush=True)
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        command = ("go", "build", "-mod=readonly", "-ldflags", f"-s -w {flags}", "-o", f"{unfinished}/", packages)
        subprocess.run(command, cwd=module, check=True, env={**os.environ, "CGO_ENABLED": "0"})
        unfinished.rename(folder)
    return folder


def _required(module: Path, name: str) -> str:
    command = ("go", "list", "-mod=readonly", "-m", "-f", "{{.Version}}", name)
    return subprocess.run(command, cwd=module, check=True, capture_output=True, text=True).stdout.strip()
