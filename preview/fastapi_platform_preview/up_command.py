"""What `up` does: the engine deploys, and the cluster is asked meanwhile why it does not come up.

Owns when the engine is ended early, and what is said then. Deliberately decides nothing about the deploy itself: what
is changed, and whether, is the engine's and the user's.
"""

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import diagnose_command, engine
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
from .redaction import printable

LOOK_SECONDS = 3.0
END_SECONDS = 15.0
"""The cause is shown then at the latest, whether or not the engine has ended."""
REFRESH_SECONDS = 120.0
"""How long the state may take to be brought up to the cluster, before that is interrupted too."""
_STACK_WORDS = re.compile(r"--(stack|cwd)(=|$)|-[defjryQ]*[sC]")
"""Its short options may be written as one word, with the value: `-ysprod`."""


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
    twice = [word for word in words if _STACK_WORDS.match(word)]
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
    _known: bool = False
    """Whether the cluster has said what was wrong before."""

    def run(self, words: Sequence[str]) -> int:
        before = self._before()
        self._watch.before, self._known = before or frozenset(), before is not None
        words = ("up", f"--stack={self.subject.stack}", *words)
        with engine.running(self.folder, words, log=self.log.file) as running:
            decided = self._follow(running)
            if decided is not None and not running.wait(0):
                return self._cut(running, *decided)
        return self._ended(running)

    def _before(self) -> frozenset[str] | None:
        """What was wrong before; a cluster that does not answer may be one that the deploy will make."""
        try:
            return watch.traces(self.subject.diagnosis())
        except NoAnswerError:
            if not self.wait:
                _say("the cluster does not answer yet; what is broken in its first answer ends nothing")
            return None
        except UsageError as error:
            _say(f"nobody watches this deploy: {error}")
            return frozenset()

    def _follow(self, running: Engine) -> tuple[Diagnosis, Finding] | None:
        """Wait for the engine's end, or for a reason to end it."""
        while not running.wait(LOOK_SECONDS):
            awaited = self.log.changing() & {each.urn for each in self.subject.program.workloads}
            found = self._look() if awaited and not self.wait and not running.interrupts else None
            if found is not None and not self._known:
                self._watch.before, self._known = watch.traces(found), True
            if found is not None and (causes := self._watch.hopeless(found, awaited, time.monotonic())):
                return found, causes[0]
        return None

    def _cut(self, running: Engine, found: Diagnosis, cause: Finding) -> int:
        """End the engine, show the cause, and put the state in order."""
        running.interrupt()
        try:
            _say(f"{headline(cause)}; waiting does not mend it, so the deploy is ended (--wait waits on)")
            running.wait(END_SECONDS)
            self._show(found)
        finally:
            running.end()
            self._refresh()
        return FINDINGS

    def _refresh(self) -> None:
        """An await that was ended is not in the state: the next deploy would take the broken pods for the good ones."""
        stack = f"--stack={self.subject.stack}"
        words = ("refresh", "--yes", "--skip-preview", "--non-interactive", stack)
        with engine.running(self.folder, words, silent=True) as refresh:
            if not refresh.wait(REFRESH_SECONDS):
                refresh.end()
        if refresh.exit_code:
            _say(f"the state may be behind the cluster: pulumi refresh {stack}, then up again")
        else:
            _say(f"the state is what the cluster has; correct it, then: fastapi-platform up {self.subject.stack}")

    def _ended(self, running: Engine) -> int:
        if running.interrupts:
            _say(f"interrupted: the state may be behind the cluster; next: "
                 f"fastapi-platform up {self.subject.stack} -- --refresh")  # fmt: skip
        elif running.exit_code and (found := self._look()) is not None and found.findings:
            self._show(found)
        return running.exit_code

    def _show(self, found: Diagnosis) -> None:
        """Print it, with its logs when they are to be had."""
        try:
            told = self.subject.complete(found)
        except NoAnswerError:
            told = found
        diagnose_command.show(self.subject, told)

    def _look(self) -> Diagnosis | None:
        """What the cluster says; nothing while it does not answer."""
        try:
            return self.subject.diagnosis()
        except UsageError:
            return None


def _say(text: str) -> None:
    sys.stderr.write(f"\nfastapi-platform: {printable(text)}\n")
    sys.stderr.flush()
