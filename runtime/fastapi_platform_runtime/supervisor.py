"""Several server processes on one port.

Owns their number and their end: a process that dies is replaced, the first signal drains all of them at the same time,
the second kills them. Until all of them have started once, one that ends by itself ends the rest, and whoever runs the
container hears of it; later its replacement is tried again and again, more and more rarely, while the others serve.
Deliberately not uvicorn's own supervisor: it forgets every signal after the first, and a terminal's Ctrl-C reaches its
processes twice, once directly and once through it, which here would mean "at once".
"""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from uvicorn import Config

from .server import NOT_LOADED, NOT_STARTED, end_at_once, serve

POLL_SECONDS = 0.2
"""Between looks at the processes; also how late they learn of a signal."""
FIRST_PAUSE_SECONDS = 1.0
"""Before a process is started again that did not start; it doubles with each time."""
LONGEST_PAUSE_SECONDS = 30.0
"""That a replacement waits: what it needs comes back without anybody telling."""
ENDED_AS_TOLD = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
"""Statuses of a process that was told to stop: drained, or not yet serving."""
STARTED = b"started"
"""What a process tells its supervisor."""

_SPAWN = multiprocessing.get_context("spawn")
_logger = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True)
class Workers:
    """What every process is started with. Handed to new interpreters, so it must pickle."""

    config: Config
    lame_duck_seconds: float
    sockets: Sequence[socket.socket]


class Worker:
    """One place among the processes, over the lives of those that take it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._starts_at = 0.0
        self._starts_failed = 0
        self.started = False
        self.start()

    def start(self) -> None:
        """Start a process, deaf to Ctrl-C from its first moment on."""
        self._heard, told = _SPAWN.Pipe(duplex=False)
        self.process = _SPAWN.Process(target=_work, args=(self._workers, told))
        self.started = False
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, heard)
            told.close()

    def look(self) -> int | None:
        """Notice that the process has started; its exit status if it has ended."""
        ended = self.process.exitcode
        if not self.started and self._says_started():
            self.started, self._starts_failed = True, 0
        return ended

    def replace(self, status: int) -> None:
        """Start another process: at once for one that had started, later for one that had not."""
        if not self._starts_at:
            pause = 0.0
            if not self.started:
                pause = min(FIRST_PAUSE_SECONDS * 2**self._starts_failed, LONGEST_PAUSE_SECONDS)
                self._starts_failed += 1
            _logger.error("Process [%s] ended with status %s; another in %g s", self.process.pid, status, pause)
            self._starts_at = time.monotonic() + pause
        if time.monotonic() >= self._starts_at:
            self._starts_at = 0.0
            self._heard.close()
            self.start()

    def tell(self, sig: signal.Signals) -> None:
        """Send a signal, if there is anybody to hear it."""
        if self.process.exitcode is None and self.process.pid is not None:
            os.kill(self.process.pid, sig)

    def _says_started(self) -> bool:
        try:
            return self._heard.poll() and self._heard.recv_bytes() == STARTED
        except EOFError:
            return False


class Supervisor:
    """Keeps the processes running until a signal, then waits for their drains."""

    def __init__(self, workers: Workers, count: int) -> None:
        self._workers = workers
        self._count = count
        self._processes: list[Worker] = []
        self._all_started = False
        self._failed: int | None = None
        self._signals: list[int] = []

    def run(self) -> int:
        """Run until all processes have ended.

        Returns:
            Exit status: 0 when all drained, 2 or 3 when one could not start, 1 when one ended in another way.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda number, _frame: self._signals.append(number))
        while not self._signals and self._failed is None:
            if len(self._processes) < self._count:
                self._processes.append(Worker(self._workers))
                continue
            time.sleep(POLL_SECONDS)
            self._look()
        return self._stop()

    def _look(self) -> None:
        ended = [(each, status) for each in self._processes if (status := each.look()) is not None]
        self._all_started = self._all_started or all(each.started for each in self._processes)
        for each, status in ended:
            if self._all_started:
                each.replace(status)
            elif self._failed is None and not self._signals:
                _logger.error("Process [%s] ended with status %s before all had started", each.process.pid, status)
                self._failed = NOT_LOADED if status == NOT_LOADED else NOT_STARTED

    def _stop(self) -> int:
        """Drain, and end at once at the second signal, whatever the drain began with."""
        told = [each.process for each in self._processes if each.process.exitcode is None]
        self._tell(signal.SIGTERM)
        while any(each.exitcode is None for each in told):
            if len(self._signals) > 1:
                self._tell(signal.SIGKILL)
                end_at_once(self._signals[1])
            time.sleep(POLL_SECONDS)
        if self._failed is not None:
            return self._failed
        return max((_status(each.exitcode) for each in told), default=0)

    def _tell(self, sig: signal.Signals) -> None:
        for each in self._processes:
            each.tell(sig)


def _work(workers: Workers, told: Connection) -> None:
    workers.config.configure_logging()
    status = serve(
        workers.config,
        workers.lame_duck_seconds,
        on_started=lambda: told.send_bytes(STARTED),
        sockets=list(workers.sockets),
        supervised=True,
    )
    raise SystemExit(status)


def _status(ended: int | None) -> int:
    if ended in ENDED_AS_TOLD:
        return 0
    return ended if ended in (NOT_LOADED, NOT_STARTED) else 1
