"""What an upload may be, and what its name may be.

Owns the allow list, the judgement by content and the cleaning of names. Deliberately believes neither the media type
nor the ending that the sender states. Source: https://cheatsheetseries.owasp.org/cheatsheets/File_Upload_Cheat_Sheet.html
"""

import re
import unicodedata

import filetype  # pyright: ignore[reportMissingTypeStubs]

ACCEPTED = ("application/pdf", "image/jpeg", "image/png", "image/webp")
"""Media types that are taken; none of them runs where it is opened."""
HEAD_BYTES = 512
"""Enough of a file's beginning to tell what it is."""
NAME_MAX = 100
"""Characters of a display name."""
UNNAMED = "attachment"

_SEPARATORS = re.compile(r"[/\\]")


def media_type(head: bytes) -> str | None:
    """Return what a file is by its first bytes; None for what is not accepted."""
    found: str | None = filetype.guess_mime(head)
    return found if found in ACCEPTED else None


def display_name(name: str) -> str:
    """Return a client's file name without path, control and direction characters, at most `NAME_MAX` long.

    The end is what stays of a longer one: it has the ending.
    """
    last = _SEPARATORS.split(name)[-1]
    # "C" are control, format (which turn the direction of text), surrogate and unassigned characters.
    printable = "".join(" " if c.isspace() else c for c in last if c.isspace() or unicodedata.category(c)[0] != "C")
    clean = unicodedata.normalize("NFC", " ".join(printable.split())).strip(". ")
    return clean[-NAME_MAX:].strip(". ") or UNNAMED
