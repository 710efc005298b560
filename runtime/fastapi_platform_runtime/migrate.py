"""`python -m fastapi_platform_runtime.migrate [run|verify|skip]`: brings the schema to what this image needs.

Owns the order of a run: connect directly, take the lock, look, apply one revision after the other, each in a
transaction of its own together with what it declares. Deliberately does not run `env.py`, so that no two applications
migrate differently, and never downgrades: an older image meets a newer schema as the schema declares.

The address is `DATABASE_URL`. Exit statuses: `fastapi_platform_runtime.outcome.Outcome`.
"""

import argparse
import asyncio
import os
import random
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncConnection

from . import revisions, store
from .outcome import LONGEST_MESSAGE, Outcome, Report, Stop, secrets_of
from .revisions import History, Revision
from .session import PASSING, STATEMENT_TIMEOUT, Deadline, limit, session, sqlstate, take_lock, told

PROGRAM = "python -m fastapi_platform_runtime.migrate"
DESCRIPTION = "Apply Alembic's revisions once, safely, beside other runners and the release that serves."
VARIABLE = "DATABASE_URL"
WANTED = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE, of Postgres itself and not of a pooler"
EPILOG = "\n".join(
    (f"{VARIABLE} says where: {WANTED}.", "Lines are JSON; the last one says what happened. Exit status:",
     *(f"  {int(each):<4} {each.name.lower():<12} {each.meaning}" for each in Outcome))
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may wait and take, in seconds."""

    lock: float
    statement: float
    deadline: Deadline


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `Outcome` for the exit status."""
    options = parser().parse_args(argv)
    address = os.environ.get(VARIABLE, "").replace("postgresql+asyncpg://", "postgresql://", 1)
    report = Report(secrets_of(address), options.termination_log)
    if options.mode == "skip":
        return report.end(Outcome.DONE, "skipped, as asked: the database was not looked at")
    try:
        return report.end(Outcome.DONE, asyncio.run(_until_signal(address, options, report)))
    except Stop as stop:
        return report.end(stop.outcome, str(stop))
    except asyncio.CancelledError:
        return report.end(Outcome.TERMINATED, "ended by a signal; what was not committed is rolled back, run again")
    except DBAPIError as exc:
        return report.end(Outcome.FAILED, f"the database failed: {told(exc)}")
    except Exception as exc:
        report.say("traceback", traceback.format_exc()[-LONGEST_MESSAGE:], "ERROR")
        return report.end(Outcome.FAILED, f"unexpected: {type(exc).__name__}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("mode", nargs="?", choices=("run", "verify", "skip"), default="run",
        help="run: apply what is missing; verify: only look, and fail when something is; skip: do nothing")
    add("--config", type=Path, default=Path("alembic.ini"), metavar="FILE",
        help="Alembic's configuration (%(default)s)")
    add("--deadline", type=_seconds, default=600.0, metavar="SECONDS",
        help="give up waiting, for the database, another runner or a lock, after so long in all (%(default)g)")
    add("--connect-timeout", type=_seconds, default=30.0, metavar="SECONDS",
        help="give up on a database that cannot be reached after so long (%(default)g)")
    add("--lock-timeout", type=_seconds, default=5.0, metavar="SECONDS",
        help="longest that a statement waits for a table; requests queue behind it meanwhile (%(default)g)")
    add("--statement-timeout", type=_seconds, default=300.0, metavar="SECONDS",
        help="longest that a statement takes; 0 for no limit (%(default)g)")
    add("--accept-downtime", action="store_true",
        help="apply a contract although the release that serves may need what it takes away")
    add("--termination-log", type=Path, default=Path("/dev/termination-log"), metavar="FILE",
        help="gets the last message when it exists; Kubernetes shows it (%(default)s)")
    return made


async def _until_signal(address: str, options: argparse.Namespace, report: Report) -> str:
    task = asyncio.current_task()
    for each in (signal.SIGTERM, signal.SIGINT):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(each, task.cancel)
    deadline = Deadline.after(options.deadline)
    config = _alembic(options.config)
    history = revisions.read(config)
    if not address:
        raise Stop(Outcome.USAGE, f"{VARIABLE} is not set: {WANTED}")
    connecting = Deadline.after(min(options.connect_timeout, options.deadline))
    async with session(address, connecting) as connection:
        place = store.Place.of(config)
        if options.mode == "verify":
            return await _verify(connection, history, place)
        await limit(connection, options.lock_timeout, options.statement_timeout)
        if await take_lock(connection, place.version_table, deadline):
            report.say("waited", "another runner was at work first")
        limits = Limits(options.lock_timeout, options.statement_timeout, deadline)
        return await _Run(connection, history, place, limits, report).run(accept_downtime=options.accept_downtime)


async def _verify(connection: AsyncConnection, history: History, place: store.Place) -> str:
    state = await connection.run_sync(store.look, place)
    pending = _pending(history, state)
    if isinstance(pending, str):
        return pending
    if pending:
        names = ", ".join(each.id for each in pending[:10])
        verb = "has" if len(pending) == 1 else "have"
        raise Stop(Outcome.BEHIND, f"{_count(len(pending))} {verb} not been applied: {names}")
    return f"{_at(state)}, as this image needs it"


def _pending(history: History, state: store.State) -> tuple[Revision, ...] | str:
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
class _Run:
    """One run, from the lock on."""

    connection: AsyncConnection
    history: History
    place: store.Place
    limits: Limits
    report: Report

    async def run(self, *, accept_downtime: bool) -> str:
        state = await self.connection.run_sync(store.look, self.place)
        pending = _pending(self.history, state)
        await self.connection.rollback()
        if isinstance(pending, str):
            return pending
        if not pending:
            return f"nothing to do: {_at(state)}"
        early = revisions.too_early(pending, self.history.upto(state.revision))
        if early is not None and not accept_downtime:
            raise Stop(
                Outcome.EARLY, f"revision {early.id} takes away what images before {early.oldest_compatible} need, "
                f"and the database is at {state.revision}: release an image that ends with {early.oldest_compatible} "
                "first, or insist with --accept-downtime; nothing was changed"
            )
        for number, revision in enumerate(pending, start=1):
            self.report.say("revision", f"{number} of {len(pending)}: {revision.id} {revision.title}",
                            revision=revision.id, phase=revision.phase)
            await self._apply(revision)
        return f"applied {_count(len(pending))}: the database is at {pending[-1].id}"

    async def _apply(self, revision: Revision) -> None:
        """Apply one revision, again and again while nothing but a lock stands in the way."""

        def told_rows(rows: int, seconds: float) -> None:
            per_second = round(rows / seconds) if seconds else 0
            self.report.say("progress", f"{revision.id} has written {rows} rows, {per_second} a second",
                            revision=revision.id, rows=rows, seconds=round(seconds, 1))

        attempt = 0
        while True:
            left = self.limits.deadline.left_seconds
            await limit(self.connection, max(min(self.limits.lock, left), 0.1), self.limits.statement)
            try:
                await self.connection.run_sync(store.apply, self.place, self.history, revision, told_rows)
            except Exception as exc:
                error = _first(exc)
                await self.connection.rollback()
                self._give_up(revision, error)
                attempt += 1
                pause = random.uniform(0.5, 1.5) * min(0.25 * 2**attempt, 5.0)
                self.report.say("retry", f"{revision.id} waits for a lock", "WARNING", attempt=attempt)
                await asyncio.sleep(min(pause, self.limits.deadline.left_seconds))
            else:
                await self.connection.commit()
                return

    def _give_up(self, revision: Revision, error: Exception) -> None:
        """Return when it is worth trying again.

        Raises:
            Stop: It is not.
        """
        state = sqlstate(error)
        where = f"revision {revision.id}{_line(error, revision)}"
        if state in PASSING:
            if self.limits.deadline.left_seconds > self.limits.lock / 10:
                return
            raise Stop(
                Outcome.LOCKED, f"{where}: what it changes stayed locked by another session until the deadline; it was "
                "rolled back, run again"
            ) from error
        if state == STATEMENT_TIMEOUT:
            took = f"a statement took longer than {self.limits.statement:g} s and was rolled back"
            raise Stop(Outcome.FAILED, f"{where}: {took}") from error
        said = told(error) if isinstance(error, DBAPIError) else f"{type(error).__name__}: {error}"
        kept = "; what it committed by itself stays" if revision.phase is revisions.Phase.BACKFILL else ", rolled back"
        raise Stop(Outcome.FAILED, f"{where}{kept}: {said}") from error


def _at(state: store.State) -> str:
    return f"the database is at {state.revision}" if state.revision else "there is no revision yet"


def _count(revisions_: int) -> str:
    return f"{revisions_} revision{'' if revisions_ == 1 else 's'}"


def _alembic(path: Path) -> Config:
    if not path.is_file():
        raise Stop(Outcome.USAGE, f"there is no {path} here; name Alembic's configuration with --config")
    return Config(str(path))


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


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"want seconds from 0 to 86400, got {text}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
