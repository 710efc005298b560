"""What the platform asks a process: does it run, can it serve, has it started.

Owns the probes' routes and the judgement behind them. Liveness touches nothing: were it to fail with a database, every
pod would be restarted at once, and none of that would bring the database back. Readiness asks all dependencies at the
same time and fails while the process drains; an optional dependency is reported and decides nothing. Deliberately shows
names only, and logs no more than the type of an error: a driver's text knows hosts, and sometimes passwords.

    app.router.routes.extend(health.routes(Health((Dependency("database", database.ping),))))

Source: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .drain import PROCESS, Drain

LIVE_PATH = "/healthz/live"
READY_PATH = "/healthz/ready"
STARTUP_PATH = "/healthz/startup"
DEFAULT_TIMEOUT_SECONDS = 1.5
"""For all checks together; below the probe's own 2 seconds, or no answer arrives."""
DEFAULT_CACHE_SECONDS = 1.0
"""How long an answer is repeated: kubelet, load balancer and people cost one query a second in all."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something outside the process that it needs to serve."""

    name: str
    """What an answer shows; not a host."""
    check: Callable[[], Awaitable[object]]
    """Returns when the dependency works; raises or hangs when it does not."""
    required: bool = True
    """Whether the process cannot serve without it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the dependencies said, by name."""

    failing: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    """Optional ones that do not work."""


class Health:
    """The state of one process and the checks of its dependencies."""

    def __init__(
        self,
        dependencies: Iterable[Dependency] = (),
        *,
        cache_seconds: float = DEFAULT_CACHE_SECONDS,
        drain: Drain = PROCESS,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """Take the dependencies.

        Raises:
            ValueError: Two have one name, or a time is not positive.
        """
        self._dependencies = tuple(sorted(dependencies, key=lambda each: each.name))
        names = [each.name for each in self._dependencies]
        if len(set(names)) != len(names):
            raise ValueError(f"Health.dependencies: got {', '.join(names)}, want different names")
        if timeout_seconds <= 0 or cache_seconds < 0:
            raise ValueError("Health: want timeout_seconds above 0 and cache_seconds of 0 or more")
        self._cache_seconds = cache_seconds
        self._drain = drain
        self._timeout_seconds = timeout_seconds
        self._one_at_a_time = asyncio.Lock()
        self._fresh_until = float("-inf")
        self._verdict = Verdict()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._started = True

    def starting(self) -> None:
        """Say that the process is not ready to be probed otherwise: the startup probe fails until `started`."""
        self._started = False

    def started(self) -> None:
        """Say that the process has warmed up."""
        self._started = True

    @property
    def is_started(self) -> bool:
        """Whether the process has warmed up; true unless `starting` was called."""
        return self._started

    @property
    def draining(self) -> bool:
        """Whether the process is about to stop."""
        return self._drain.begun

    async def verdict(self) -> Verdict:
        """Ask the dependencies, or repeat an answer that is fresh enough."""
        async with self._one_at_a_time:
            if time.monotonic() >= self._fresh_until:
                self._verdict = await self._ask()
                self._fresh_until = time.monotonic() + self._cache_seconds
            return self._verdict

    async def _ask(self) -> Verdict:
        if not self._dependencies:
            return Verdict()
        tasks = {each: asyncio.create_task(_run(each)) for each in self._dependencies}
        try:
            await asyncio.wait(tasks.values(), timeout=self._timeout_seconds)
        finally:
            for task in tasks.values():
                self._abandon(task)
        broken = [each for each, task in tasks.items() if not _works(each, task)]
        return Verdict(
            failing=tuple(each.name for each in broken if each.required),
            degraded=tuple(each.name for each in broken if not each.required),
        )

    def _abandon(self, task: asyncio.Task[None]) -> None:
        """Stop a late check without waiting for it: closing a dead connection may itself take seconds."""
        if not task.done():
            task.cancel()
            self._abandoned.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # Read, or asyncio reports it as never retrieved.


def routes(
    health: Health | Callable[[Request], Health],
    *,
    live: str = LIVE_PATH,
    ready: str = READY_PATH,
    startup: str = STARTUP_PATH,
) -> tuple[Route, ...]:
    """The probes' routes, for `app.router.routes.extend`; they appear in no API description.

    Args:
        health: What they report, or how to find it in a request when the lifespan makes it.
        live: Path of the liveness probe.
        ready: Path of the readiness probe.
        startup: Path of the startup probe.
    """

    def found(request: Request) -> Health:
        return health if isinstance(health, Health) else health(request)

    async def answer_live(_request: Request) -> JSONResponse:
        return _answer(HTTPStatus.OK, "ok")

    async def answer_startup(request: Request) -> JSONResponse:
        return _answer(HTTPStatus.OK, "ok") if found(request).is_started else _answer(UNAVAILABLE, "starting")

    async def answer_ready(request: Request) -> JSONResponse:
        judge = found(request)
        if judge.draining:
            return _answer(UNAVAILABLE, "draining")
        if not judge.is_started:
            return _answer(UNAVAILABLE, "starting")
        return _judged(await judge.verdict())

    return (Route(live, answer_live), Route(ready, answer_ready), Route(startup, answer_startup))


UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE


def _judged(verdict: Verdict) -> JSONResponse:
    names = {"failing": verdict.failing, "degraded": verdict.degraded}
    shown = {key: value for key, value in names.items() if value}
    return _answer(UNAVAILABLE, "unavailable", **shown) if verdict.failing else _answer(HTTPStatus.OK, "ok", **shown)


def _answer(status: HTTPStatus, text: str, **names: tuple[str, ...]) -> JSONResponse:
    return JSONResponse({"status": text, **names}, status, headers={"Cache-Control": "no-store"})


async def _run(dependency: Dependency) -> None:
    await dependency.check()


def _works(dependency: Dependency, task: asyncio.Task[None]) -> bool:
    late = not task.done() or task.cancelled()
    error = TimeoutError() if late else task.exception()
    if error is not None:
        # The type alone: a driver's message may carry the address with its password.
        _logger.warning("dependency %s does not work: %s", dependency.name, type(error).__name__)
    return error is None
