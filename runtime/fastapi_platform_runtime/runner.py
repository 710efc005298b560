"""One run of the migration runner, from the lock on.

Owns which revisions are applied, one after the other, each in a transaction of its own together with what it declares;
when one is tried again; and what is said of one that fails. Deliberately knows neither options nor addresses, and never
downgrades: an older image meets a newer schema as the schema declares.
"""

import asyncio
import random
import re
import traceback
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncConnection

from . import revisions, store
from .outcome import Outcome, Report, Stop
from .revisions import History, Revision
from .session import PASSING, SILENCE_SECONDS, STATEMENT_TIMEOUT, Deadline, limit, sqlstate, told


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may wait and take, in seconds."""

    lock: float
    statement: float
    deadline: Deadline


async def verify(connection: AsyncConnection, history: History, place: store.Place) -> str:
    """Look, and change nothing.

    Raises:
        Stop: A revision is missing, or the database is not for this image.
    """
    state = await connection.run_sync(store.look, place)
    missing = pending(history, state)
    if isinstance(missing, str):
        return missing
    if missing:
        names = ", ".join(each.id for each in missing[:10])
        verb = "has" if len(missing) == 1 else "have"
        raise Stop(Outcome.BEHIND, f"{_count(len(missing))} {verb} not been applied: {names}")
    return f"{_at(state)}, as this image needs it"


def pending(history: History, state: store.State) -> tuple[Revision, ...] | str:
    """What is to be applied, or why nothing is, although the database is not where this image would put it."""
    if state.revision is None or history.knows(state.revision):
        return history.pending(state.revision)
    oldest = state.declared.get(state.revision)
    newer = f"the database is at {state.revision}, which this image (head {history.head}) does not contain"
    if oldest is None:
        raise Stop(Outcome.AHEAD, f"{newer}, and nothing declares which older images may run on it")
    if not history.knows(oldest):
        raise Stop(Outcome.AHEAD, f"{newer}; only images that contain {oldest} may run on it")
    return f"{newer}, and which declares that images from {oldest} on may run on it"


@dataclass(frozen=True, slots=True)
class Run:
    """One run, from the lock on."""

    connection: AsyncConnection
    history: History
    place: store.Place
    limits: Limits
    report: Report

    async def run(self, *, accept_downtime: bool) -> str:
        """Apply what is missing; gives what happened.

        Raises:
            Stop: It could not be, or must not be.
        """
        state = await self.connection.run_sync(store.look, self.place)
        missing = pending(self.history, state)
        await self.connection.rollback()
        if isinstance(missing, str):
            return missing
        if not missing:
            return f"nothing to do: {_at(state)}"
        early = revisions.too_early(missing, self.history.upto(state.revision))
        if early is not None and not accept_downtime:
            raise Stop(
                Outcome.EARLY, f"revision {early.id} takes away what images before {early.oldest_compatible} need, "
                f"and the database is at {state.revision}: release an image that ends with {early.oldest_compatible} "
                "first, or insist with --accept-downtime; nothing was changed"
            )
        for number, revision in enumerate(missing, start=1):
            self.report.say("revision", f"{number} of {len(missing)}: {revision.id} {revision.title}",
                            revision=revision.id, phase=revision.phase)
            await self._apply(revision)
        return f"applied {_count(len(missing))}: the database is at {missing[-1].id}"

    async def _apply(self, revision: Revision) -> None:
        """Apply one revision, again and again while nothing but a lock stands in the way."""

        def told_rows(rows: int, seconds: float) -> None:
            per_second = round(rows / seconds) if seconds else 0
            self.report.say("progress", f"{revision.id} has written {rows} rows, {per_second} a second",
                            revision=revision.id, rows=rows, seconds=round(seconds, 1))

        step, attempt = store.Step(revision, told_rows), 0
        while True:
            left = self.limits.deadline.left_seconds
            await limit(self.connection, max(min(self.limits.lock, left), 0.1), self.limits.statement)
            try:
                await self.connection.run_sync(store.apply, self.place, self.history, step)
            except Exception as exc:
                error = _first(exc)
                await self.connection.rollback()
                self._give_up(step, error)
                attempt += 1
                pause = random.uniform(0.5, 1.5) * min(0.25 * 2**attempt, 5.0)
                self.report.say("retry", f"{revision.id} waits for a lock", "WARNING", attempt=attempt)
                await asyncio.sleep(min(pause, self.limits.deadline.left_seconds))
            else:
                await self.connection.commit()
                return

    def _give_up(self, step: store.Step, error: Exception) -> None:
        """Return when it is worth trying again.

        Raises:
            Stop: It is not.
        """
        state = sqlstate(error)
        where = f"revision {step.revision.id}{_line(error, step.revision)}"
        rest = _committed(error) if step.committed else "it was rolled back"
        if state in PASSING:
            if self.limits.deadline.left_seconds > self.limits.lock / 10:
                return
            locked = "what it changes stayed locked by another session until the deadline"
            raise Stop(Outcome.LOCKED, f"{where}: {locked}; {rest}, run again") from error
        if state == STATEMENT_TIMEOUT:
            took = f"a statement took longer than {self.limits.statement:g} s"
            raise Stop(Outcome.FAILED, f"{where}: {took}; {rest}") from error
        if isinstance(error, TimeoutError):
            silent = f"the database did not answer within {self.limits.statement + SILENCE_SECONDS:g} s"
            raise Stop(Outcome.FAILED, f"{where}: {silent}; what it did is not known, run again") from error
        raise Stop(Outcome.FAILED, f"{where}; {rest}: {told(error)}") from error


def _committed(error: Exception) -> str:
    """What is left of a revision that commits some of its statements by themselves."""
    statement = error.statement if isinstance(error, DBAPIError) else None
    index = re.match(r"\s*CREATE\b.*\bINDEX\s+CONCURRENTLY\b", statement or "", re.I | re.S)
    return f"what it committed by itself stays{', and an index that is not valid may' if index else ''}"


def _at(state: store.State) -> str:
    return f"the database is at {state.revision}" if state.revision else "there is no revision yet"


def _count(revisions_: int) -> str:
    return f"{revisions_} revision{'' if revisions_ == 1 else 's'}"


def _first(error: BaseException) -> Exception:
    """The error that came first: leaving `autocommit_block` on a connection that is lost raises another one over it.

    Raises:
        CancelledError: A signal was first.
    """
    while isinstance(error, PendingRollbackError) and error.__context__ is not None:
        error = error.__context__
    if not isinstance(error, Exception):
        raise error
    return error


def _line(error: BaseException, revision: Revision) -> str:
    """Where in its file a revision failed."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == revision.script.path]
    return f", line {lines[-1]}" if lines else ""
