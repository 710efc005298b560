"""Standard output and standard error before anything is printed, and when they cannot take it.

Owns mistakes that end the command. Deliberately imports nothing to print with: it is loaded before anything is started.
"""

import io
import os
import sys
from pathlib import Path

from .errors import UsageError, refuse
from .redaction import printable


def complain_once(error: Exception) -> None:
    """Print mistakes that say by themselves what they are about, a line each."""
    sys.stderr.write("".join(f"error: {line}\n" for line in printable(str(error)).splitlines()))


def ready() -> None:
    """See that there is a place for output, and that it takes every character.

    Raises:
        UsageError: when standard output is closed.
    """
    if sys.__stderr__ is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 it is for the whole process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.__stdout__ is None:
        raise unwritable("closed")


def unwritable(state: str) -> UsageError:
    """The refusal of a standard output that cannot be written."""
    return refuse(
        "standard output", "", got=f"a stream that cannot be written ({state})", want="a terminal, a pipe or a file",
        why="what was found goes there", fix="Send it somewhere else.",
    )


def abandon() -> None:
    """Drop what could not be written: Python would try once more when it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
