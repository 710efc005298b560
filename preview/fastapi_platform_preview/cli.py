"""The command `fastapi-platform`.

Owns arguments, exit codes and where output goes: data on standard output, progress and mistakes on standard error.
Exit codes: 0 clean, 1 findings, 2 bad usage or settings; 128 and the signal's number when it was stopped, so 130 after
Ctrl-C and 141 when the reader of a pipe has ended. Deliberately imports what it prints with only after the stacks
are being recorded: the programs' own imports take the longest, and everything here happens beside them.
"""

import contextlib
import errno
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from . import recording, streams
from .doctor import Step
from .errors import BAD_USAGE, BY_SIGNAL, CLEAN, INTERRUPTED, READER_GONE, UsageError

UNWRITTEN = {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}
"""What happens to an output that was open."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Format(StrEnum):
    """How a preview is written."""

    TEXT = "text"
    JSON = "json"


CwdOption = Annotated[Path, typer.Option("--cwd", help="Folder inside the Pulumi project.")]
FixturesOption = Annotated[
    Path | None,
    typer.Option(help="Answers of data sources. [default: preview-fixtures.yaml beside Pulumi.yaml, if any]"),
]

StacksArgument = Annotated[
    list[str] | None, typer.Argument(help="Stacks to show.", show_default="all that have a file")
]
PreviewOutOption = Annotated[
    Path | None, typer.Option(help="Also write the manifests into this folder, one folder a stack, in deploy order.")
]
RenderOutOption = Annotated[
    Path | None, typer.Option(help="Write one file per object into this folder, in deploy order.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("fastapi-platform-preview"))
        raise typer.Exit


@app.callback()
def _common(
    *,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Shows what a Pulumi program would deploy and judges it: no cloud, no credentials, no Pulumi CLI."""


@app.command()
def preview(
    stacks: StacksArgument = None,
    *,
    format_: Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs.")] = Format.TEXT,
    out: PreviewOutOption = None,
    fixtures: FixturesOption = None,
    cwd: CwdOption = Path(),
) -> None:
    """Show everything that stacks consist of, and what the rules say about it.

    Exits with 0 when no rule is violated, 1 when one is, 2 when settings or usage are wrong.
    """

    def run() -> int:
        with recording.start(cwd, stacks or (), fixtures) as started:
            from . import preview_command  # noqa: PLC0415 imported while the stacks are being recorded

            return preview_command.run(started, as_json=format_ is Format.JSON, out=out)

    raise _end(run)


@app.command()
def render(
    stack: Annotated[str, typer.Argument(help="The stack whose manifests are wanted.")],
    *,
    out: RenderOutOption = None,
    fixtures: FixturesOption = None,
    cwd: CwdOption = Path(),
) -> None:
    """Print the Kubernetes manifests of a stack in deploy order, secrets as [secret]."""

    def run() -> int:
        with recording.start(cwd, (stack,), fixtures) as started:
            from . import preview_command  # noqa: PLC0415 imported while the stack is being recorded

            return preview_command.render(started, out=out)

    raise _end(run)


@app.command()
def doctor(
    step: Annotated[Step | None, typer.Argument(help="Only what this step needs.", show_default="every step")] = None,
    stacks: Annotated[
        list[str] | None, typer.Argument(help="Stacks to deploy, whose clusters must answer.", show_default="none")
    ] = None,
    *,
    cwd: CwdOption = Path(),
) -> None:
    """Check what this machine has for each further step, and say how to get what is missing.

    `doctor deploy` asks the clusters of all stacks, and any of them may be out of reach; `doctor deploy dev` is about
    that stack's. Exits with 1 when something is missing for the named step; without a step, for a preview.
    """

    def run() -> int:
        from . import doctor_command  # noqa: PLC0415 only this command needs it

        return doctor_command.run(cwd.resolve(), step, stacks or ())

    raise _end(run)


@app.command()
def diagnose(
    stack: Annotated[str, typer.Argument(help="The stack that does not come up.")],
    *,
    format_: Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs.")] = Format.TEXT,
    fixtures: FixturesOption = None,
    cwd: CwdOption = Path(),
) -> None:
    """Ask a stack's cluster what serves, what is wrong, and say what to do about it, on one screen.

    Needs kubectl; changes nothing, and reads no Secret. Exits with 0 when nothing is wrong, 1 when something is.
    """

    def run() -> int:
        with recording.start(cwd, (stack,), fixtures) as started:
            from . import diagnose_command  # noqa: PLC0415 imported while the stack is being recorded

            return diagnose_command.run(started, as_json=format_ is Format.JSON)

    raise _end(run)


@app.command()
def up(
    stack: Annotated[str, typer.Argument(help="The stack to deploy.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of `pulumi up`, after --.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Let the engine wait on when a cause is known.")] = False,
    fixtures: FixturesOption = None,
    cwd: CwdOption = Path(),
) -> None:
    """Deploy a stack with `pulumi up`, and say why it does not come up.

    As soon as the cluster names a cause that waiting does not mend, the deploy is ended and the cause shown, instead of
    a timeout of minutes. What serves goes on serving. Exits with pulumi's code, or 1 when it was ended.
    """

    def run() -> int:
        with recording.start(cwd, (stack,), fixtures) as started:
            from . import up_command  # noqa: PLC0415 imported while the stack is being recorded

            return up_command.run(started, arguments or (), wait=wait)

    raise _end(run)


def _end(run: Callable[[], int]) -> typer.Exit:
    """The end of a command, with its exit code: the library would make other codes of an early one."""
    try:
        return typer.Exit(run())
    except BrokenPipeError:
        streams.abandon()
        return typer.Exit(READER_GONE)
    except KeyboardInterrupt:
        return typer.Exit(INTERRUPTED)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments without the program's name; by default the process's own.
    """
    try:
        streams.ready()
        with _stoppable():
            app(args=None if argv is None else list(argv), prog_name="fastapi-platform")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else CLEAN
    except UsageError as error:
        streams.complain_once(error)
        return BAD_USAGE
    except OSError as error:
        if error.errno not in UNWRITTEN:
            raise
        streams.abandon()
        streams.complain_once(streams.unwritable(error.strerror or "closed"))
        return BAD_USAGE
    return CLEAN


@contextlib.contextmanager
def _stoppable() -> Generator[None]:
    """Let SIGTERM and SIGHUP unwind the command as Ctrl-C does, so that what it has started ends with it."""
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, _stop) for number in _stop_signals()} if here else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_signals() -> list[signal.Signals]:
    """Those that would end the process: what `nohup` has switched off stays so."""
    known = (signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
    return [number for number in known if signal.getsignal(number) is signal.SIG_DFL]


def _stop(number: int, _: object) -> None:
    raise SystemExit(BY_SIGNAL + number)
