"""The command `fastapi-platform`.

Owns arguments, exit codes and where output goes: data on standard output, progress and mistakes on standard error.
Exit codes: 0 clean, 1 findings, 2 bad usage or settings. Deliberately imports what it prints with only after the stacks
are being recorded: the programs' own imports take the longest, and everything here happens beside them.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import recording
from .doctor import Step
from .errors import BAD_USAGE, CLEAN, UsageError

app = typer.Typer(
    help="Shows what a Pulumi program would deploy and judges it: no cloud, no credentials, no Pulumi CLI.",
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
    started = recording.start(cwd, stacks or (), fixtures)

    from . import preview_command  # noqa: PLC0415 imported while the stacks are being recorded

    raise typer.Exit(preview_command.run(started, as_json=format_ is Format.JSON, out=out))


@app.command()
def render(
    stack: Annotated[str, typer.Argument(help="The stack whose manifests are wanted.")],
    *,
    out: RenderOutOption = None,
    fixtures: FixturesOption = None,
    cwd: CwdOption = Path(),
) -> None:
    """Print the Kubernetes manifests of a stack in deploy order, secrets as [secret]."""
    started = recording.start(cwd, (stack,), fixtures)

    from . import preview_command  # noqa: PLC0415 imported while the stack is being recorded

    raise typer.Exit(preview_command.render(started, out=out))


@app.command()
def doctor(
    step: Annotated[Step | None, typer.Argument(help="Only what this step needs.", show_default="every step")] = None,
    *,
    cwd: CwdOption = Path(),
) -> None:
    """Check what this machine has for each further step, and say how to get what is missing.

    Exits with 1 when something is missing for the named step; without a step, for a preview.
    """
    from . import doctor_command  # noqa: PLC0415 only this command needs it

    raise typer.Exit(doctor_command.run(cwd.resolve(), step))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments without the program's name; by default the process's own.
    """
    try:
        app(args=None if argv is None else list(argv), prog_name="fastapi-platform")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else CLEAN
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_USAGE
    return CLEAN
