"""Standard output and standard error, for a terminal or for a pipe.

Owns the difference: colour and the terminal's width, or plain whole lines. Deliberately prints the same words to both,
and progress only where somebody watches.
"""

import contextlib
import sys
from collections.abc import Generator

from rich.console import Console, RenderableType

UNBROKEN_WIDTH = 10_000
"""Columns in a pipe: no line is ever broken, so that grep and diff see whole lines."""


def show(body: RenderableType) -> None:
    """Print to standard output."""
    if sys.stdout.isatty():
        Console(highlight=False).print(body)
        return
    plain = Console(highlight=False, width=UNBROKEN_WIDTH, color_system=None)
    with plain.capture() as captured:
        plain.print(body)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def complain(subject: str, error: Exception) -> None:
    """Print a mistake to standard error: what it is about, then a line a problem."""
    problems = "".join(f"  {line}\n" for line in str(error).splitlines())
    sys.stderr.write(f"error: {subject}\n{problems}")


@contextlib.contextmanager
def progress(text: str) -> Generator[None]:
    """Show on a terminal that something is going on."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(text):
        yield
