"""`python -m fastapi_platform_runtime.migrate [run|verify|skip]`: brings the schema to what this image needs.

Owns the command: its options, the session that it opens, the lock, and how it ends; `runner` does the work.
Deliberately does not run `env.py`, so that no two applications migrate differently.

The address is `DATABASE_URL`, protected as `tls` says. Exit statuses: `fastapi_platform_runtime.outcome.Outcome`.
"""

import argparse
import asyncio
import os
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from . import revisions, store
from .outcome import LONGEST_MESSAGE, Outcome, Report, Stop, secrets_of
from .runner import Limits, Run, verify
from .session import PASSING, Deadline, limit, session, sqlstate, take_lock, told
from .tls import TlsError, protect

PROGRAM = "python -m fastapi_platform_runtime.migrate"
DESCRIPTION = "Apply Alembic's revisions once, safely, beside other runners and the release that serves."
VARIABLE = "DATABASE_URL"
DEADLINE_VARIABLE = "MIGRATION_DEADLINE_SECONDS"
WANTED = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE, of Postgres itself and not of a pooler"
EPILOG = "\n".join(
    (f"{VARIABLE} says where: {WANTED}.", "DATABASE_TLS and DATABASE_TLS_CA_FILE say how the connection is protected.",
     f"{DEADLINE_VARIABLE} is the default of --deadline.",
     "Lines are JSON; the last one says what happened. Exit status:",
     *(f"  {int(each):<4} {each.name.lower():<12} {each.meaning}" for each in Outcome))
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `Outcome` for the exit status."""
    options = parser().parse_args(argv)
    address = os.environ.get(VARIABLE, "").replace("postgresql+asyncpg://", "postgresql://", 1)
    report = Report(secrets_of(address), options.termination_log)
    if options.mode == "skip":
        return report.end(Outcome.DONE, "skipped, as asked: the database was not looked at")
    try:
        return report.end(Outcome.DONE, asyncio.run(_until_signal(address, options, report)))
    except (Exception, asyncio.CancelledError) as exc:
        return report.end(*_ending(exc, report))


def _ending(error: BaseException, report: Report) -> tuple[Outcome, str]:
    """What an error means that ends the run."""
    match error:
        case Stop():
            return error.outcome, str(error)
        case asyncio.CancelledError():
            return Outcome.TERMINATED, "ended by a signal; what was not committed is rolled back, run again"
        case DBAPIError() if sqlstate(error) in PASSING:
            return Outcome.LOCKED, f"the tables that say where the database is stayed locked: {told(error)}"
        case DBAPIError():
            return Outcome.FAILED, f"the database failed: {told(error)}"
        case TimeoutError():
            return Outcome.UNREACHABLE, "the database fell silent, run again"
        case _:
            report.say("traceback", "".join(traceback.format_exception(error))[-LONGEST_MESSAGE:], "ERROR")
            return Outcome.FAILED, f"unexpected: {type(error).__name__}"


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
    add("--deadline", type=_seconds, default=os.environ.get(DEADLINE_VARIABLE) or "600", metavar="SECONDS",
        help="give up waiting, for the database, another runner or a lock, after so long in all (%(default)s)")
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
    async with session(_protected(address), connecting, options.statement_timeout) as connection:
        place = store.Place.of(config)
        await limit(connection, options.lock_timeout, options.statement_timeout)
        if options.mode == "verify":
            return await verify(connection, history, place)
        if await take_lock(connection, place.version_table, deadline):
            report.say("waited", "another runner was at work first")
        limits = Limits(options.lock_timeout, options.statement_timeout, deadline)
        return await Run(connection, history, place, limits, report).run(accept_downtime=options.accept_downtime)


def _protected(address: str) -> str:
    try:
        return protect(address, os.environ)
    except TlsError as exc:
        raise Stop(Outcome.USAGE, str(exc)) from exc
    except ValueError as exc:
        raise Stop(Outcome.USAGE, f"{VARIABLE} cannot be used: {WANTED}") from exc


def _alembic(path: Path) -> Config:
    if not path.is_file():
        raise Stop(Outcome.USAGE, f"there is no {path} here; name Alembic's configuration with --config")
    return Config(str(path))


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
