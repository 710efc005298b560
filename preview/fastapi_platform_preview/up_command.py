"""What `up` does: the engine deploys, and the cluster is asked meanwhile why it does not come up.

Owns when the engine is ended early, and what is said then. Deliberately decides nothing about the deploy itself: what
is changed, and whether, is the engine's and the user's.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import diagnose_command, engine, machine
from .diagnosis import watch
from .diagnosis.ask import NoAnswerError
from .diagnosis.examine import Diagnosis
from .diagnosis.finding import Finding
from .diagnosis.screen import headline
from .diagnosis.stack import Subject
from .diagnosis.watch import Watch
from .doctor import INSTALL_PULUMI
from .engine import Engine
from .engine_log import EngineLog
from .errors import FINDINGS, UsageError, refuse
from .recording import Started

LOOK_SECONDS = 3.0
END_SECONDS = 15.0
"""The cause is shown then at the latest, whether or not the engine has ended."""
_STACK_WORDS = ("--stack", "-s", "--cwd", "-C")


def run(started: Started, words: Sequence[str], *, wait: bool) -> int:
    """Deploy a stack, and say why it does not come up.

    Args:
        started: The recording of the stack.
        words: Further arguments of `pulumi up`.
        wait: Whether the engine waits on when a cause is known.

    Returns:
        Pulumi's exit code; 1 when the deploy was ended for a cause.

    Raises:
        UsageError: when there is no pulumi, or the stack cannot be recorded.
    """
    _check(words, started.stacks[0])
    subject = diagnose_command.recorded(started)
    with tempfile.TemporaryDirectory(prefix="fastapi-platform-") as folder:
        log = EngineLog(Path(folder) / "events.json")
        up = _Deploy(subject, started.project.root, log, wait=wait)
        return up.run(words)


def _check(words: Sequence[str], stack: str) -> None:
    if shutil.which("pulumi") is None:
        raise refuse(
            "pulumi", "", got="nothing on PATH", want="the Pulumi CLI", why="it deploys", fix=INSTALL_PULUMI
        )
    twice = [word for word in words if word.partition("=")[0] in _STACK_WORDS]
    if twice:
        raise refuse(
            "up", "", got=f"{twice[0]} after --", want="the stack as first argument, and the project by --cwd",
            why="what is deployed and what is watched must be the same", fix=f"Leave {twice[0]} out: up {stack}.",
        )


@dataclass(slots=True)
class _Deploy:
    subject: Subject
    folder: Path
    log: EngineLog
    wait: bool
    _watch: Watch = field(default_factory=Watch)

    def run(self, words: Sequence[str]) -> int:
        self._watch.before = self._before()
        running = engine.start(self.folder, ("up", f"--stack={self.subject.stack}", *words), self.log.file)
        try:
            with engine.interrupts_reach(running):
                causes = self._follow(running)
                if causes:
                    return self._cut(running, causes)
        except BaseException:
            running.end()
            raise
        return self._ended(running)

    def _before(self) -> frozenset[str]:
        """What was wrong before; a cluster that does not answer may be one that the deploy will make."""
        try:
            return watch.traces(self.subject.diagnosis())
        except NoAnswerError:
            return frozenset()
        except UsageError as error:
            _say(f"nobody watches this deploy: {error}")
            return frozenset()

    def _follow(self, running: Engine) -> tuple[Finding, ...]:
        """Wait for the engine's end, or for a reason to end it."""
        while not running.wait(LOOK_SECONDS):
            awaited = self.log.changing() & {each.urn for each in self.subject.program.workloads}
            found = self._look() if awaited and not self.wait and not running.interrupts else None
            if found is not None and (causes := self._watch.hopeless(found, awaited, time.monotonic())):
                return causes
        return ()

    def _cut(self, running: Engine, causes: Sequence[Finding]) -> int:
        """End the engine, show the cause, and put the state in order."""
        _say(f"{headline(causes[0])}; waiting does not mend it, so the deploy is ended (--wait waits on)")
        found = self._look()
        running.interrupt()
        ended = running.wait(END_SECONDS)
        if found is not None:
            self._show(found)
        if not ended:
            running.end()
        self._refresh()
        return FINDINGS

    def _refresh(self) -> None:
        """An await that was ended is not in the state: the next deploy would take the broken pods for the good ones."""
        words = ("pulumi", "refresh", "--yes", "--skip-preview", "--non-interactive", f"--stack={self.subject.stack}")
        if machine.succeeds(*words, folder=self.folder):
            _say(f"the state is what the cluster has; correct it, then: fastapi-platform up {self.subject.stack}")
        else:
            _say(f"the state may be behind the cluster: {' '.join((*words[:2], words[-1]))}, then up again")

    def _ended(self, running: Engine) -> int:
        if running.interrupts:
            _say(f"interrupted: the state may be behind the cluster; next: "
                 f"fastapi-platform up {self.subject.stack} -- --refresh")  # fmt: skip
        elif running.exit_code and (found := self._look()) is not None and found.findings:
            self._show(found)
        return running.exit_code

    def _show(self, found: Diagnosis) -> None:
        diagnose_command.show(self.subject, self.subject.complete(found))

    def _look(self) -> Diagnosis | None:
        """What the cluster says; nothing while it does not answer."""
        try:
            return self.subject.diagnosis()
        except UsageError:
            return None


def _say(text: str) -> None:
    sys.stderr.write(f"\nfastapi-platform: {text}\n")
    sys.stderr.flush()
