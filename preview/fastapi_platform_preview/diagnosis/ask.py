"""What kubectl says about a namespace: all objects in one call, and the lines of a container.

Owns the calls and their time limits. Deliberately never asks for a Secret, and takes a log that is not to be had for an
empty one: the rest still says what happened.
Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/
"""

import json
import shutil
import subprocess
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
            NoAnswerError: when the cluster does not answer, or lets nothing be read.
        """
        done = self._run("get", ",".join(KINDS), "--output=json")
        try:
            found = json.loads(done.stdout)["items"]
        except (ValueError, KeyError) as error:
            raise self._no_answer(done.stderr) from error
        if not found and done.returncode:
            raise self._no_answer(done.stderr)
        return Observed(found, datetime.now(UTC))

    def exists(self) -> bool:
        """Whether the namespace is there, as far as one may ask."""
        return "NotFound" not in self._run("get", "namespace", self.namespace, "--output=name").stderr

    def lines(self, log: Log) -> str:
        """The last lines of a container; of the process that is there when there was none before it."""
        words = ("logs", log.pod, f"--container={log.container}", f"--tail={LOG_LINES}")
        done = self._run(*words, *(["--previous"] if log.previous else []))
        if done.returncode and log.previous:
            done = self._run(*words)
        return done.stdout if done.returncode == 0 else ""

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        if shutil.which("kubectl") is None:
            raise refuse(
                "kubectl", "", got="nothing on PATH", want="kubectl", why="it asks the cluster", fix=INSTALL_KUBECTL
            )
        command = (
            "kubectl", *words, f"--namespace={self.namespace}", f"--request-timeout={REQUEST_SECONDS}s",
            *self.cluster.flags(),
        )  # fmt: skip
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._no_answer(f"no answer after {CALL_SECONDS} s") from error

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
