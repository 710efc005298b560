"""Probes.

Owns what the platform asks a process: `/healthz/live` (does it run?) and `/healthz/ready` (can it serve?).
Liveness deliberately touches nothing: were it to fail with the database, every pod would be restarted at
once, and none of that would bring the database back. Readiness borrows a connection from the pool of the
requests: it also fails where they would find none, and it adds nothing to the connection budget.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

CACHE_SECONDS = 1.0
"""How long an answer is repeated: kubelet, load balancer and people cost one query a second in all."""

Check = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the dependency works; raises or hangs when it does not."""

router = APIRouter(prefix="/healthz", include_in_schema=False)
_logger = logging.getLogger(__name__)


class Readiness:
    """Asks all dependencies at once, within one time limit, and remembers the answer for a moment."""

    def __init__(self, checks: Mapping[str, Check], timeout_seconds: float) -> None:
        """Take the checks by the name that a failing answer shows."""
        self._checks = checks
        self._timeout_seconds = timeout_seconds
        self._one_at_a_time = asyncio.Lock()
        self._fresh_until = 0.0
        self._failing: tuple[str, ...] = ()
        self._abandoned: set[asyncio.Task[None]] = set()

    async def failing(self) -> tuple[str, ...]:
        """Return the names of the dependencies that do not work now, sorted; empty means ready."""
        async with self._one_at_a_time:
            if time.monotonic() >= self._fresh_until:
                self._failing = await self._ask()
                self._fresh_until = time.monotonic() + CACHE_SECONDS
            return self._failing

    async def _ask(self) -> tuple[str, ...]:
        tasks = {name: asyncio.create_task(check()) for name, check in sorted(self._checks.items())}
        try:
            await asyncio.wait(tasks.values(), timeout=self._timeout_seconds)
        finally:
            for task in tasks.values():
                self._abandon(task)
        return tuple(name for name, task in tasks.items() if not _works(name, task))

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


@router.get("/live")
async def live() -> JSONResponse:
    """Answer as long as the event loop turns."""
    return _answer(HTTPStatus.OK, {"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Answer 200 when every dependency works, else 503 with the names of those that do not."""
    readiness: Readiness = request.state.readiness
    failing = await readiness.failing()
    if failing:
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "unavailable", "failing": failing})
    return _answer(HTTPStatus.OK, {"status": "ok"})


def _works(name: str, task: asyncio.Task[None]) -> bool:
    if task.done() and not task.cancelled() and task.exception() is None:
        return True
    error = task.exception() if task.done() and not task.cancelled() else TimeoutError()
    _logger.warning("dependency not ready", extra={"fields": {"dependency": name, "error": repr(error)}})
    return False


def _answer(status: HTTPStatus, content: Mapping[str, object]) -> JSONResponse:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})
