"""kubectl, and what it says."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACE = "orders"
MANAGER = "fastapi-platform-tests"
Object = dict[str, Any]


class RefusedError(RuntimeError):
    """kubectl, or the API server behind it, says no."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl, and the cluster that it talks to."""

    program: str
    kubeconfig: Path

    def __call__(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """Run it in the stack's namespace and return what it says."""
        command = (self.program, "--kubeconfig", str(self.kubeconfig), "--namespace", NAMESPACE, *words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
        if check and done.returncode:
            raise RefusedError(f"kubectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def get(self, *words: str) -> Any:
        """Return an object or a list of them."""
        return json.loads(self("get", *words, "--output", "json"))

    def apply(self, each: Object, *options: str) -> None:
        """Apply an object on the server's side."""
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager", MANAGER, *options)
        self(*words, "--filename", "-", stdin=json.dumps(each))
