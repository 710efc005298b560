"""The Pulumi engine, run by this command with the terminal passed through.

Owns its start and its end: one interrupt, which lets it write its state, and a second only when that takes too long.
Deliberately hands an interrupt on only where the terminal has not already done so: two of them end the engine at once
and leave the state behind.
Source: https://www.pulumi.com/docs/iac/cli/commands/pulumi_up/
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 60.0
"""How long the engine gets to write its state, before a second interrupt."""


@dataclass(slots=True)
class Engine:
    """A running `pulumi`."""

    process: "subprocess.Popen[bytes]"
    interrupts: int = 0
    """How many of them reached this command."""
    _asked: bool = False

    def wait(self, seconds: float) -> bool:
        """Whether it ends within that time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def exit_code(self) -> int:
        """Its exit code, as a shell has it."""
        code = self.process.returncode
        return 128 - code if code < 0 else code

    def interrupt(self) -> None:
        """Ask it to end."""
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)

    def interrupted(self) -> None:
        """Have it answer to an interrupt that reached this command; in a terminal it has got it already."""
        self.interrupts += 1
        if not _in_foreground():
            self.interrupt()

    def end(self, seconds: float = GRACE_SECONDS) -> None:
        """Have it end, at the latest after twice that time; an interrupt that it has had counts as the first."""
        if not self._asked and not self.interrupts:
            self.interrupt()
        if self.wait(seconds):
            return
        self.interrupt()
        if not self.wait(seconds):
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(
    project: Path, words: Sequence[str], *, log: Path | None = None, silent: bool = False
) -> Generator[Engine]:
    """Run `pulumi` in a project's folder, and let it, not this command, answer to Ctrl-C from its first moment.

    Args:
        project: Folder of the project file.
        words: Arguments.
        log: Where it writes its events.
        silent: Whether it is kept from the terminal.
    """
    engine: Engine | None = None
    early = 0

    def hand_on(number: int, frame: object) -> None:
        nonlocal early
        del number, frame
        if engine is None:
            early += 1
        else:
            engine.interrupted()

    before = signal.signal(signal.SIGINT, hand_on)
    try:
        engine = Engine(_start(project, words, log, silent=silent))
        if early:
            engine.interrupted()
        yield engine
    except BaseException:
        if engine is not None:
            engine.end()
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _start(project: Path, words: Sequence[str], log: Path | None, *, silent: bool) -> "subprocess.Popen[bytes]":
    command = ["pulumi", *words, *([f"--event-log={log}"] if log else [])]
    # The option is the Automation API's; without the variable the command line does not have it.
    environment = os.environ | {"PULUMI_DEBUG_COMMANDS": "true"}
    stream = subprocess.DEVNULL if silent else None
    return subprocess.Popen(command, cwd=project, env=environment, stdin=stream, stdout=stream, stderr=stream)


def _in_foreground() -> bool:
    """Whether a terminal sends its interrupts to this process's whole group, the engine included."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
