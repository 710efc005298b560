"""A stack on a cluster without an engine: the rendered objects, applied in deploy order, each awaited before the next.

Owns what an engine adds to a list of manifests: the values of secrets, waiting for a Job to complete and for pods to be
ready, replacing a Job that failed, removing what is rendered no more. Deliberately kubectl and server-side apply: what
the API server refuses is refused here as well.
"""

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.kubectl import NAMESPACE, Kubectl, Object
from tests.conftest import ROOT

SETTLE_SECONDS = 300


class DeployError(RuntimeError):
    """An object did not become what the next one waits for."""


@dataclass
class Stack:
    """One stack file, which a test changes, on a cluster."""

    kubectl: Kubectl
    folder: Path
    name: str = "local"
    applied: dict[tuple[str, str], Object] = field(default_factory=dict[tuple[str, str], Object])
    break_object: Callable[[Object], None] | None = None
    """Changes each object before it is applied: what the settings refuse to say."""
    pods: int | None = None
    """Both bounds of the autoscaler, for who counts pods; none leaves them as they are rendered."""
    _password: str = field(default_factory=lambda: secrets.token_hex(12))

    def __post_init__(self) -> None:
        """Copy the project, to change its settings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("Pulumi.yaml", f"Pulumi.{self.name}.yaml"):
            shutil.copy(ROOT / name, self.folder)
        shutil.copytree(ROOT / "infra", self.folder / "infra", ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "uv.lock").touch()
        (self.folder / ".venv").symlink_to(ROOT / ".venv")

    def set(self, section: str, **values: Any) -> None:
        """Change keys of a section of the stack file."""
        file = self.folder / f"Pulumi.{self.name}.yaml"
        content = yaml.safe_load(file.read_text())
        content["config"].setdefault(f"fastapi-platform:{section}", {}).update(values)
        file.write_text(yaml.safe_dump(content))

    def reset(self) -> None:
        """Return to the settings of the project."""
        self.break_object = None
        self.pods = None
        shutil.copy(ROOT / f"Pulumi.{self.name}.yaml", self.folder)

    def rendered(self) -> list[Object]:
        """Return the objects of the stack in deploy order, with values in its secrets."""
        command = (ROOT / ".venv/bin/fastapi-platform", "render", self.name, "--cwd", self.folder)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise DeployError(done.stderr)
        return [self._with_values(each) for each in yaml.safe_load_all(done.stdout)]

    def deploy(self) -> None:
        """Apply and await one object after the other, then remove what is rendered no more.

        Raises:
            DeployError: One did not become ready; those behind it are untouched.
        """
        objects = {_key(each): each for each in self.rendered()}
        for key, each in objects.items():
            if self.pods and each["kind"] == "HorizontalPodAutoscaler":
                each["spec"].update(minReplicas=self.pods, maxReplicas=self.pods)
            if self.break_object:
                self.break_object(each)
            self._replace_failed(each)
            self.kubectl.apply(each)
            self.applied[key] = each
            self._await(each)
        for key in [key for key in reversed(self.applied) if key not in objects]:
            self.kubectl("delete", *key, "--ignore-not-found")
            del self.applied[key]

    def begin(self) -> None:
        """Apply one object after the other as far as a Job that has not completed, and wait for nothing else."""
        for each in self.rendered():
            if self.break_object:
                self.break_object(each)
            self.kubectl.apply(each)
            self.applied[_key(each)] = each
            if each["kind"] == "Job" and not _condition(self._found(each), "Complete"):
                return

    def settle(self) -> None:
        """Wait until as many pods are there, and available, as the autoscaler wants."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            status = self.kubectl.get("deployment", "orders")["status"]
            scaler = self.kubectl.get("horizontalpodautoscaler", "orders")
            wanted = max(scaler["status"].get("desiredReplicas", 0), scaler["spec"]["minReplicas"])
            if status.get("availableReplicas") == status.get("replicas") == wanted:
                return
            if time.monotonic() > deadline:
                raise DeployError(f"{wanted} pods are wanted: {status}")
            time.sleep(1)

    def destroy(self) -> None:
        """Remove everything; the namespace takes its objects along."""
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=180)
        self.applied.clear()

    def _with_values(self, each: Object) -> Object:
        if each["kind"] != "Secret":
            return each
        address = f"postgresql://orders:{self._password}@orders-database:5432/orders"
        return {**each, "stringData": {"password": self._password, "direct": address}}

    def _replace_failed(self, each: Object) -> None:
        if each["kind"] == "Job" and _condition(self._found(each), "Failed"):
            self.kubectl("delete", *_key(each))

    def _await(self, each: Object) -> None:
        if each["kind"] == "Job":
            self._await_job(each)
        if each["kind"] in ("Deployment", "StatefulSet"):
            words = ("rollout", "status", "/".join(_key(each)), "--timeout", "330s")
            self.kubectl(*words, timeout=360)

    def _await_job(self, each: Object) -> None:
        deadline = time.monotonic() + each["spec"]["activeDeadlineSeconds"] + 60
        while not _condition(found := self._found(each), "Complete"):
            if _condition(found, "Failed") or time.monotonic() > deadline:
                raise DeployError(self._why(each, found))
            time.sleep(0.5)

    def _why(self, each: Object, found: Object | None) -> str:
        name = each["metadata"]["name"]
        conditions: list[dict[str, str]] = (found or {}).get("status", {}).get("conditions", [])
        said = {f"{each['reason']}: {each['message']}" for each in conditions}
        # Of a Job that was ended at its deadline the pod is gone, and its log with it.
        return f"{name}: {', '.join(sorted(said))}\n{self.kubectl('logs', f'job/{name}', '--tail', '5', check=False)}"

    def _found(self, each: Object) -> Object | None:
        said = self.kubectl("get", *_key(each), "--output", "json", "--ignore-not-found")
        return json.loads(said) if said else None


def _key(each: Object) -> tuple[str, str]:
    return each["kind"], each["metadata"]["name"]


def _condition(found: Mapping[str, Any] | None, name: str) -> bool:
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == name and each["status"] == "True" for each in conditions)
