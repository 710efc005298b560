"""What must not leave the process: secrets and personal data in text that somebody else wrote.

Owns how a message and an exception are told to logs, traces and the error tracker. An exception is its type, its
message without values, and where it passed (file, line, function). Values are what has the shape of a credential, what
follows a name such as `password` or `token`, what stands in quotes, and what Postgres, asyncpg and pydantic repeat of
the input. Deliberately no promise about a bare word: code that puts a value into a message puts it in quotes (`{x!r}`).
"""

import math
import re
import traceback
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, cast

REDACTED = "[redacted]"
MAX_CHARACTERS = 16_384
"""Longest text: an exception of many causes still fits, a megabyte of somebody's HTML does not."""

_NAMES = (
    r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|authorization|cookie|credential|session[_-]?(?:id|key)|signature|dsn|(?<![a-z])otp(?![a-z])"
)
_SENSITIVE = re.compile(_NAMES, re.I)
_VALUE = r"(?!\[redacted|want )(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&)}\]]+)"
_PLACEHOLDERS = r"(?-i:\[?USER:PASSWORD@|KEY@)"
"""What our own messages say of an address that is wanted."""
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # The whole rest of the line: several cookies, a scheme and its credentials.
    (re.compile(r"(?i)((?:set-)?cookie|authorization)([\"']?\s*[:=]\s*).+"), rf"\1\2{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]+\.[\w.-]+"), REDACTED),
    (re.compile(rf"(?i)([a-z+]{{2,20}}://)(?!{_PLACEHOLDERS})[^\s\"']*@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)([a-z+]{2,20}://[^\s?\"']*)\?[^\s\"']*"), rf"\1?{REDACTED}"),
    (re.compile(rf"(?i)((?:{_NAMES})[\w-]{{0,32}}[\"']?\s{{0,8}}[=:]\s{{0,8}}){_VALUE}"), rf"\1{REDACTED}"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]+"), REDACTED),
    # Neither an id (32 hexadecimal digits, or a UUID) nor a name, which has no digit.
    (re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{40,}"), REDACTED),
)
_MARKS = (
    *("@", "?", "://", "eyj", "bearer", "basic", "digest", "passw", "passphrase", "pwd", "secret", "token", "key"),
    *("authorization", "cookie", "credential", "session", "signature", "dsn", "otp"),
)
"""A shorter text without any of these has no secret: what nearly every line is."""
_UNMARKED_CHARACTERS = 40
_VALUES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Postgres repeats the row or the key that it refuses; SQLAlchemy and pydantic repeat what they were given.
    (re.compile(r"(?m)^\s*(DETAIL|CONTEXT|QUERY):.*$"), rf"\1: {REDACTED}"),
    (re.compile(r"\(([\w\", ]+)\)=\(.*\)"), rf"(\1)=({REDACTED})"),
    (re.compile(r"(?s)\[parameters: .*?\]\s*$", re.M), f"[parameters: {REDACTED}]"),
    (re.compile(r"(?i)(invalid input [^:\n]*|query argument \$\d+): .*"), rf"\1: {REDACTED}"),
    (re.compile(r"input_value=.*?(?=, input_type=|\]|$)", re.M), f"input_value={REDACTED}"),
    # A name in quotes may stay: a constraint, a column, an attribute, a class.
    (re.compile(r"(?<!\w)'(?![A-Za-z_.]{1,63}')[^'\n]*'"), f"'{REDACTED}'"),
    (re.compile(r"(?<!\w)\"(?![A-Za-z_.]{1,63}\")[^\"\n]*\""), f'"{REDACTED}"'),
)
_FRAME = re.compile(r"[\s|]*File \"")
_SOURCE = re.compile(r"    (?!\s*[|+])")


def without_secrets(text: str) -> str:
    """Return a message without what looks like a credential or an address of somebody."""
    if len(text) < _UNMARKED_CHARACTERS and (text.isidentifier() or not _marked(text.lower())):
        return text
    text = text[:MAX_CHARACTERS]
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _marked(text: str) -> bool:
    return any(mark in text for mark in _MARKS)


def without_values(text: str) -> str:
    """Return the message of an exception without secrets and without the values that it quotes."""
    text = text[:MAX_CHARACTERS]
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    return without_secrets(text)


def without_sensitive(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a log line; text that has the name of a secret is none any more."""
    return {name: _safe(name, value) for name, value in fields.items()}


def _safe(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value  # A number of tokens is no token.
    if _is_sensitive(name):
        return REDACTED
    if isinstance(value, Mapping):
        return without_sensitive({str(key): each for key, each in cast(Mapping[Any, Any], value).items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(name, each) for each in cast(Collection[Any], value)]
    return without_secrets(str(value))


@lru_cache(maxsize=1024)
def _is_sensitive(name: str) -> bool:
    return _SENSITIVE.search(name) is not None


def told(error: BaseException) -> str:
    """Tell an exception and its causes, in Python's own form without the lines of source."""
    found = traceback.TracebackException.from_exception(error, lookup_lines=False, compact=True)
    _forget_source(found)
    return told_again("".join(found.format()))


def told_again(text: str) -> str:
    """Tell a traceback that somebody has already turned into text."""
    lines = [line for line in text[:MAX_CHARACTERS].splitlines() if line and not _SOURCE.match(line)]
    return "\n".join(line if _FRAME.match(line) else without_values(line) for line in lines)


def _forget_source(found: traceback.TracebackException) -> None:
    found.stack = traceback.StackSummary.from_list(
        [(frame.filename, frame.lineno or 0, frame.name, "") for frame in found.stack]
    )
    for each in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if each is not None:
            _forget_source(each)
