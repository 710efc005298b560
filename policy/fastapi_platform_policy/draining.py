"""The drain budget of a recorded pod: its real numbers, against what its callers were promised.

Owns reading preStop, grace and server timings from a pod template. Deliberately trusts no component: the promise is an
annotation, everything else is what the pod will really do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi_platform.planning.drain import IN_CLUSTER, PROMISE_ANNOTATION, DrainBudget, Promise, read_promise

from . import servers
from .record import Marker, text
from .workloads import Container, Workload

DEFAULT_GRACE_SECONDS = 30
"""What Kubernetes gives a pod that states nothing."""
SEVERAL = "which of its containers serves cannot be told from here"


@dataclass(frozen=True, slots=True)
class ReadBudget:
    """The clocks of a workload's pods."""

    budget: DrainBudget
    server: str
    promised: bool
    """Whether a request timeout is declared; otherwise the server's graceful timeout stands for it."""
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why there is no budget."""

    wrong: list[str] = field(default_factory=list[str])
    unsure: list[str] = field(default_factory=list[str])


def drain_budget(workload: Workload) -> ReadBudget | Unreadable:
    """The budget of the container that serves, or why it cannot be computed."""
    serving = _serving(workload)
    if len(serving) != 1:
        return Unreadable(unsure=[SEVERAL if serving else "its containers are known only after the deployment"])
    container = serving[0]
    pause = container.at("lifecycle", "preStop", "sleep", "seconds")
    other_hook = container.at("lifecycle", "preStop")
    timings = servers.read(container)
    wrong = [f"container {container.name} has no preStop pause"] if other_hook is Marker.ABSENT else []
    if timings is not None and timings.graceful_timeout_seconds is None:
        wrong.append(f"{timings.server} has no graceful timeout and may wait until it is killed")
    if wrong:
        return Unreadable(wrong=wrong)
    grace = workload.pod("terminationGracePeriodSeconds")
    grace = DEFAULT_GRACE_SECONDS if grace is Marker.ABSENT else grace
    if timings is None or not isinstance(pause, int) or not isinstance(grace, int):
        return Unreadable(unsure=[_what_is_missing(timings, pause is Marker.ABSENT)])
    return _budget(workload, timings, pause, grace)


def _serving(workload: Workload) -> list[Container]:
    """The containers that may be the one which serves: each clue narrows them, unless it would leave none.

    A known server in the command is the best clue, then being asked whether it is ready, then having ports; beside a
    proxy whose timings nobody can read the server that can be read is the one that is judged.
    """
    found = [container for container in workload.containers() if not container.starts_first]
    clues: tuple[Callable[[Container], bool], ...] = (
        lambda container: servers.read(container) is not None,
        lambda container: container.at("readinessProbe") is not Marker.ABSENT,
        lambda container: container.at("ports") is not Marker.ABSENT,
    )
    for clue in clues:
        found = [container for container in found if clue(container)] or found
    return found


def _budget(workload: Workload, timings: servers.ServerTimings, pause: int, grace: int) -> ReadBudget:
    graceful = timings.graceful_timeout_seconds or 0
    promise = read_promise(text(workload.record.at("metadata", "annotations", PROMISE_ANNOTATION)))
    kept = promise or Promise(load_balancer=IN_CLUSTER, request_timeout_seconds=graceful)
    budget = DrainBudget(
        graceful_timeout_seconds=graceful,
        keep_alive_seconds=timings.keep_alive_seconds,
        lame_duck_seconds=timings.lame_duck_seconds,
        load_balancer=kept.load_balancer,
        pre_stop_seconds=pause,
        request_timeout_seconds=kept.request_timeout_seconds,
        termination_grace_seconds=grace,
    )
    undeclared = f"no longest request is declared (annotation {PROMISE_ANNOTATION})"
    return ReadBudget(budget, timings.server, promise is not None, () if promise else (undeclared,))


def _what_is_missing(timings: servers.ServerTimings | None, other_hook: bool) -> str:
    if timings is None:
        return "its server is started by the image, so its timeouts cannot be read from here"
    if other_hook:
        return "its preStop hook is a command, whose length cannot be read"
    return "its timings are known only after the deployment"
