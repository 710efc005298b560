"""Standard output and standard error, for a terminal or for a pipe.

Owns the difference: colour and the terminal's width, or plain whole lines. Deliberately prints the same words to both,
and progress only where somebody watches.
"""

import contextlib
import sys
from collections.abc import Generator, Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .redaction import printable

UNBROKEN_WIDTH = 10_000
"""Columns in a pipe: no line is ever broken, so that grep and diff see whole lines."""


class _Printable:
    """A body without the characters that a terminal would obey."""

    def __init__(self, body: RenderableType) -> None:
        self._body = body

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._body, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def show(body: RenderableType) -> None:
    """Print to standard output."""
    if sys.stdout.isatty():
        Console(highlight=False).print(_Printable(body))
        return
    plain = Console(highlight=False, width=UNBROKEN_WIDTH, color_system=None)
    with plain.capture() as captured:
        plain.print(_Printable(body))
    write("".join(f"{line.rstrip()}\n" for line in captured.get().split("\n")[:-1]))


def write(text: str) -> None:
    """Write to standard output, at once: whoever reads a pipe sees a stack when it is known."""
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(subject: str, error: Exception) -> None:
    """Print a mistake to standard error: what it is about, then a line a problem."""
    problems = "".join(f"  {line}\n" for line in printable(str(error)).splitlines())
    sys.stderr.write(f"error: {subject}\n{problems}")


@contextlib.contextmanager
def progress(text: str) -> Generator[None]:
    """Show on a terminal that something is going on."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(text):
        yield
