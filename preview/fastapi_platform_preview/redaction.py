"""Text that comes from a program, as a reader may see it: no credential, and nothing that steers a terminal.

Owns what is replaced in running text; `planning.secrecy` owns what a credential looks like.
Deliberately takes out the one word where it can, so that the rest still says what happened.
"""

import re

from fastapi_platform.planning import secrecy
from fastapi_platform.planning.secrecy import REDACTED

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_WORD = re.compile(r"\S+")
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, C1
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # other direction, other line ends
    r"\ud800-\udfff]"  # no characters at all
)


def redacted(text: str) -> str:
    """The text with `[secret]` in place of every credential in it; of a line that cannot be taken apart, all of it."""
    return "\n".join(_line(line) for line in _KEY_BLOCK.sub(REDACTED, text).split("\n"))


def _line(line: str) -> str:
    return secrecy.hidden_prose(_WORD.sub(_word, line))


def _word(word: re.Match[str]) -> str:
    return REDACTED if secrecy.value_looks_secret(word[0]) else word[0]


def printable(text: str) -> str:
    r"""The text with `\x1b` and the like in place of characters that a terminal would obey."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
