"""What kubectl says about a namespace: all objects in one call, and the lines of a container.

Owns the calls and their time limits. Deliberately never asks for a Secret, takes a part of an answer for none, and a
log that is not to be had for an empty one: the rest still says what happened.
Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/
"""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ..clusters import Cluster
from ..errors import UsageError, refuse
from .finding import Log
from .observed import Observed

KINDS = (
    "pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "events",
    "horizontalpodautoscalers", "poddisruptionbudgets", "persistentvolumeclaims",
)  # fmt: skip
REQUEST_SECONDS = 8
CALL_SECONDS = 20
LOG_LINES = 40
INSTALL_KUBECTL = "Install it: https://kubernetes.io/docs/tasks/tools/"


class NoAnswerError(UsageError):
    """The cluster did not answer this time; it may the next."""


@dataclass(frozen=True, slots=True)
class Space:
    """One namespace of one cluster."""

    cluster: Cluster
    namespace: str

    def look(self) -> Observed:
        """Everything that matters in the namespace.

        Raises:
            NoAnswerError: when the cluster does not answer, or not about every kind: what it left out may be broken.
        """
        done = self._run("get", ",".join(KINDS), "--output=json")
        if done.returncode:
            raise self._no_answer(done.stderr)
        try:
            found = json.loads(done.stdout)["items"]
        except (ValueError, KeyError) as error:
            raise self._no_answer(done.stderr) from error
        return Observed(found, datetime.now(UTC))

    def exists(self) -> bool:
        """Whether the namespace is there, as far as one may ask."""
        try:
            return "NotFound" not in self._run("get", "namespace", self.namespace, "--output=name").stderr
        except NoAnswerError:
            return True

    def lines(self, log: Log, seconds: float) -> str:
        """The last lines of a container; of the process that is there when there was none before it.

        Args:
            log: The container.
            seconds: How long may be spent on it; no line is asked for once that is over.
        """
        ends = time.monotonic() + seconds
        words = ("logs", log.pod, f"--container={log.container}", f"--tail={LOG_LINES}")
        for previous in ([["--previous"], []] if log.previous else [[]]):
            left = ends - time.monotonic()
            try:
                done = self._run(*words, *previous, seconds=left) if left > 0 else None
            except NoAnswerError:
                return ""
            if done is not None and done.returncode == 0:
                return done.stdout
        return ""

    def _run(self, *words: str, seconds: float | None = None) -> "subprocess.CompletedProcess[str]":
        if shutil.which("kubectl") is None:
            raise refuse(
                "kubectl", "", got="nothing on PATH", want="kubectl", why="it asks the cluster", fix=INSTALL_KUBECTL
            )
        command = (
            "kubectl", *words, f"--namespace={self.namespace}", f"--request-timeout={REQUEST_SECONDS}s",
            *self.cluster.flags(),
        )  # fmt: skip
        limit = CALL_SECONDS if seconds is None else min(seconds, CALL_SECONDS)
        try:
            return subprocess.run(
                command, capture_output=True, encoding="utf-8", errors="replace", timeout=limit, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._no_answer(f"no answer after {limit:.0f} s") from error

    def _no_answer(self, said: str) -> NoAnswerError:
        which = f" (context {self.cluster.context})" if self.cluster.context else ""
        error = refuse(
            f"the cluster of stack {self.cluster.stack}{which}", "", got=_last(said) or "no answer",
            want="an answer to `kubectl get`", why="only the cluster knows what runs",
            fix=f"Try it: kubectl {' '.join(self.cluster.flags())} get pods --namespace {self.namespace}",
        )  # fmt: skip
        return NoAnswerError(str(error))


def _last(said: str) -> str:
    return said.strip().rpartition("\n")[2]
