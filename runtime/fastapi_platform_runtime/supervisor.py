"""Several server processes on one port.

Owns their number and their end: a process that dies is replaced, the first signal drains all of them at the same time,
the second kills them. Deliberately not uvicorn's own supervisor: it forgets every signal after the first, and a
terminal's Ctrl-C reaches its processes twice, once directly and once through it, which here would mean "at once".
"""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from types import FrameType

from uvicorn import Config

from .server import NOT_LOADED, NOT_STARTED, end_at_once, serve

POLL_SECONDS = 0.2
"""Between looks at the processes; also how late they learn of a signal."""
ENDED_AS_TOLD = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
"""Statuses of a process that was told to stop: drained, or not yet serving."""

_SPAWN = multiprocessing.get_context("spawn")
_logger = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True)
class Workers:
    """What every process is started with. Handed to new interpreters, so it must pickle."""

    config: Config
    lame_duck_seconds: float
    sockets: Sequence[socket.socket]

    def start(self) -> SpawnProcess:
        """Start one more process, deaf to Ctrl-C from its first moment on."""
        process = _SPAWN.Process(target=_work, args=(self,))
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, heard)
        return process


class Supervisor:
    """Keeps the processes running until a signal, then waits for their drains."""

    def __init__(self, workers: Workers, count: int) -> None:
        self._workers = workers
        self._count = count
        self._processes: list[SpawnProcess] = []
        self._stopping = False

    def run(self) -> int:
        """Run until all processes have ended.

        Returns:
            Exit status: 0 when all drained, 2 or 3 when one could not start, 1 when one ended in another way.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._on_signal)
        self._processes = [self._workers.start() for _ in range(self._count)]
        while not self._stopping:
            time.sleep(POLL_SECONDS)
            self._replace_dead()
        self._tell(signal.SIGTERM)
        return max((_join(process) for process in self._processes), default=0)

    def _replace_dead(self) -> None:
        for index, process in enumerate(self._processes):
            if self._stopping or process.exitcode is None:
                continue
            if process.exitcode in (NOT_LOADED, NOT_STARTED):
                self._stopping = True
                continue
            _logger.error("Process [%s] ended with status %s; starting another", process.pid, process.exitcode)
            self._processes[index] = self._workers.start()

    def _on_signal(self, sig: int, _frame: FrameType | None) -> None:
        if self._stopping:
            self._tell(signal.SIGKILL)
            end_at_once(sig)
        self._stopping = True

    def _tell(self, sig: signal.Signals) -> None:
        for process in self._processes:
            if process.exitcode is None and process.pid is not None:
                os.kill(process.pid, sig)


def _work(workers: Workers) -> None:
    workers.config.configure_logging()
    status = serve(workers.config, workers.lame_duck_seconds, sockets=list(workers.sockets), supervised=True)
    raise SystemExit(status)


def _join(process: SpawnProcess) -> int:
    process.join()
    if process.exitcode in ENDED_AS_TOLD:
        return 0
    return process.exitcode if process.exitcode in (NOT_LOADED, NOT_STARTED) else 1
