"""Which clusters the stacks of a project deploy to, and whether those answer.

Owns reading that from the stacks' own Kubernetes providers, whatever the program calls its settings. Deliberately asks
nothing about a cluster whose kubeconfig the deploy itself makes, or states as a whole: that holds credentials, and
everybody on the machine reads the arguments of a process.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fastapi_platform_policy.record import Marker, Record, Value, text

from . import machine, recording, stack_config
from .errors import UsageError
from .project import Project

PROVIDER = "pulumi:providers:kubernetes"
TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a stack deploys to."""

    stack: str
    context: str = ""
    """Context of the kubeconfig; empty for the selected one."""
    kubeconfig: str = ""
    """Path; empty for where kubectl looks."""
    mistake: str = ""
    """Why nobody can tell where it deploys to; empty when it is known."""

    def flags(self) -> list[str]:
        """How kubectl is told which cluster."""
        options = {"--context": self.context, "--kubeconfig": self.kubeconfig}
        return [f"{flag}={value}" for flag, value in options.items() if value]

    def version(self) -> str:
        """Version of the cluster; empty when it does not answer."""
        answer = machine.output(
            "kubectl", "version", "--output=json", f"--request-timeout={TIMEOUT_SECONDS}s", *self.flags()
        )
        try:
            return str(json.loads(answer)["serverVersion"]["gitVersion"])
        except (ValueError, KeyError):
            return ""


def examine(start: Path, stacks: Sequence[str] = ()) -> tuple[tuple[Cluster, str], ...]:
    """Every cluster that a stack deploys to, with its version, which is empty when it does not answer.

    Args:
        start: Folder inside a Pulumi project; anywhere else there is no cluster.
        stacks: The stacks that matter; none for all.

    Raises:
        UsageError: when stacks are named and none can be recorded.
    """
    found = tuple(_of_stacks(start, stacks))
    with ThreadPoolExecutor(max_workers=max(len(found), 1)) as pool:
        return tuple(zip(found, pool.map(_version, found), strict=True))


def _version(cluster: Cluster) -> str:
    return "" if cluster.mistake else cluster.version()


def _of_stacks(start: Path, stacks: Sequence[str]) -> Iterator[Cluster]:
    try:
        started = recording.start(start, stacks, None)
    except UsageError:
        if stacks:
            raise
        return
    with started:
        for stack, future in started.results():
            try:
                records = future.result().records
            except UsageError as error:
                yield Cluster(stack, mistake=str(error).partition("\n")[0])
            else:
                yield from sorted(set(of_records(started.project, stack, records)), key=lambda each: each.context)


def of_records(project: Project, stack: str, records: tuple[Record, ...]) -> Iterator[Cluster]:
    """The clusters that a stack's Kubernetes providers name, once for each provider."""
    for record in records:
        if record.type == PROVIDER:
            context, kubeconfig = record.at("context"), _path(project, record.at("kubeconfig"))
            if kubeconfig is not None and context not in (Marker.SECRET, Marker.UNKNOWN):
                yield Cluster(stack, text(context), kubeconfig)
        elif record.type.startswith("kubernetes:") and not record.provider:
            yield Cluster(stack, stack_config.load(project, stack).values.get("kubernetes:context", ""))


def _path(project: Project, kubeconfig: Value) -> str | None:
    """The file that a provider names; empty when it names none, nothing when it is no file."""
    # Without one of its own a provider takes the variable's, which may be a list: kubectl reads that by itself.
    if kubeconfig in (Marker.ABSENT, "", os.environ.get("KUBECONFIG")):
        return ""
    path = os.path.join(project.working_directory, os.path.expanduser(text(kubeconfig)))
    return path if os.path.isfile(path) else None
