"""Standard output, for a terminal or for a pipe.

Owns the difference: colour and the terminal's width, or plain whole lines. Deliberately prints the same words to both.
"""

import sys

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
