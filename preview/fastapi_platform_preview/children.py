"""The processes that record, and their end.

Owns starting them, and stopping those that are left when a run ends early. Deliberately kills without asking: a
recording has changed nothing that would have to be put in order.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from threading import Lock

Process = subprocess.Popen[str]


@dataclass(slots=True)
class Children:
    """The processes of one run. Each is in a session of its own: Ctrl-C reaches the command, which stops them."""

    _lock: Lock = field(default_factory=Lock)
    _started: list[Process] = field(default_factory=list[Process])
    _stopped: bool = False

    def start(self, command: Sequence[str]) -> Process:
        """Start a process with pipes for its input and output.

        Raises:
            CancelledError: when the run has ended.
            OSError: when it cannot be started.
        """
        with self._lock:
            if self._stopped:
                raise CancelledError
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr.fileno(), text=True,
                start_new_session=True,
            )
            self._started.append(process)
            return process

    def stop(self) -> None:
        """End all that still run, with whatever they have started themselves, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._started:
                # One that was waited for is gone, and its number may be another's.
                if process.returncode is None:
                    _kill(process)


def output(process: Process) -> str:
    """What a process prints until it ends; whatever it has started itself ends with it."""
    text, _ = process.communicate()
    _kill(process)
    return text


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
