"""A user's mistake, as the command shows it.

Owns the exit codes, and the one exception that ends a run with a message and code 2. Deliberately carries text only.
"""

from difflib import get_close_matches

from fastapi_platform.planning.errors import PlatformError, Problem

CLEAN, FINDINGS, BAD_USAGE = 0, 1, 2
"""Exit codes: nothing to say, a rule is violated, settings or usage are wrong."""
BY_SIGNAL = 128
"""Exit code, plus the signal's number, of a run that was stopped; shells use the same."""
INTERRUPTED, READER_GONE = BY_SIGNAL + 2, BY_SIGNAL + 13
"""Exit codes after Ctrl-C (SIGINT), and when what reads the output has ended (SIGPIPE)."""


class UsageError(Exception):
    """Something that the user can mend; the text says what, why, and how."""


def refuse(owner: str, field: str, *, got: str, want: str, why: str, fix: str) -> UsageError:
    """A mistake in the platform's four parts: value, wanted value, reason, next step."""
    return UsageError(str(PlatformError([Problem(owner, field, got, want, why, fix)])))


def did_you_mean(name: str, known: list[str], otherwise: str) -> str:
    """A next step that names the nearest known name, when there is one near enough."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else otherwise
