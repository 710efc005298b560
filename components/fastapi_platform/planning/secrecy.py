"""What looks like a secret: names and values that must not stand in plain settings.

Owns the guess, for the components that refuse, the rules that judge and the reports that hide. Deliberately errs on
the side of refusing: a false alarm costs a renamed variable, a miss puts a credential into the state, the manifests
and every log that prints them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_QUOTES = "\"'\\"
REDACTED = "[secret]"
"""What every output shows in place of a secret."""

_NAME = re.compile(
    r"(?:PASSWORDS?|PASSWD|PASSPHRASE)$"  # also as one word: PGPASSWORD
    r"|(?:^|_)(?:PASS|PW|PWD|SECRETS?|TOKENS?|CREDENTIALS?|DSN|DATABASE_URL|REDIS_URL|SECRET_KEY_BASE)$"
    r"|(?:^|_)(?:ACCESS|ACCOUNT|API|AUTH|COOKIE|ENCRYPTION|FERNET|HMAC|JWT|MASTER)_?KEYS?$"
    r"|(?:^|_)(?:PRIVATE|SECRET|SESSION|SIGNING|STRIPE)_?KEYS?$"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FILLED_IN = r"(?:\$\([^()]+\)|\$\{\w+\}|\$[A-Z_]\w*)"
"""`$(NAME)` of Kubernetes; `$NAME`, `${NAME}` and `$(program …)` of a shell."""
_REFERENCE = re.compile(rf"{_FILLED_IN}|[a-z][a-z0-9+.-]*://[^/\s:@]*:{_FILLED_IN}@\S*")
_SHAPE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"  # PEM
    rf"|\b[a-z][a-z0-9+.-]*://[^/\s:@]*:(?![0-9]+/|{_FILLED_IN}@)[^\s@]+@"  # URL with a password
    rf"|[?&](?:password|passwd|sslpassword|token|api_?key|secret)="  # the same as a parameter
    rf"(?!{_FILLED_IN}(?:[&\s\"']|$))[^\s&]"
    r"|\b(?:Bearer|Basic) [A-Za-z0-9+/._~-]{16,}=*"  # Authorization header
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JWT
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key
    r"|\bAIza[0-9A-Za-z_-]{35}\b"  # Google API key
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}\b"  # Slack
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}\b"  # Stripe
    r"|\"private_key\"\s*:"  # Google service-account key file
)

_GIVEN_TO = re.compile(r"(?<![\w-])(-{0,2})([A-Za-z_][\w-]*)")
_QUOTED = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.|'')*'|\\"[^"\\\n]*\\")[^\s"',;:)}\]\\]*"""
"""Text in quotes, those of JSON inside JSON too, and what a shell takes for the rest of the word."""
_NAME_ENDS = r"""(?:\\?["'])?"""
_VALUE = rf"""(?P<value>{re.escape(REDACTED)}|{_QUOTED}|\$\([^()]*\)[^\s;,]*|\S+)"""
_ASSIGNED = re.compile(rf"=(?!=){_VALUE}")
_FIELD = re.compile(rf"""{_NAME_ENDS}[ \t]*[:=][ \t]*(?P<value>{_QUOTED})""")
_LISTED = re.compile(rf"""["'],[ \t]*(?P<value>{_QUOTED})""")
_LINE = re.compile(
    rf"""{_NAME_ENDS}[ \t]*(?::[ \t]+|=[ \t]*)(?![=\[{{|>&*]|(?:null|none|true|false|~),?[ \t]*$){_VALUE}""",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT = re.compile(rf"[ \t]+(?![-|&;<>]){_VALUE}")
_FLAG = re.compile(r"--?([A-Za-z_][\w-]*)")
_WORD = re.compile(r"(--?([A-Za-z_][\w-]*)=)(.*)", re.DOTALL)
"""One word of a command: the value of its flag goes to its end."""


@lru_cache(maxsize=10_000)
def name_looks_secret(name: str) -> bool:
    """Whether a variable, a key or an option of this name usually holds a credential; `…_FILE` and the like do not."""
    return _NAME.search(_HUMP.sub("_", name).replace("-", "_").upper()) is not None


def value_looks_secret(value: str) -> bool:
    """Whether the text has the shape of a credential."""
    return _SHAPE.search(value) is not None


def is_reference(value: str) -> bool:
    """Whether something else fills in the value, or the password of the address that it is."""
    return _REFERENCE.fullmatch(value.rstrip(";,").strip(_QUOTES)) is not None


def is_credential(name: str, value: str) -> bool:
    """Whether the value is in clear what its name says: the credential itself."""
    return bool(value.strip(_QUOTES)) and name_looks_secret(name) and not is_reference(value)


def hidden_prose(text: str) -> str:
    """The text with `[secret]` in place of every value that is given to a credential's name.

    The next word is not one: "the option --password is not known".
    """
    return _hidden(text, False)


def hidden_text(text: str) -> str:
    """A setting with `[secret]` in place of credentials; it may be a command, so the word after an option is one."""
    return _hidden(text, True)


def hidden_word(before: str, word: str) -> str:
    """A word of a command with `[secret]` in place of credentials.

    Args:
        before: The word before it, which may be the option that it belongs to; empty for the first one.
        word: The word.
    """
    flag = _FLAG.fullmatch(before)
    if flag and is_credential(flag[1], word) and not word.startswith("-"):
        return REDACTED
    given = _WORD.fullmatch(word)
    if given and is_credential(given[2], given[3]):
        return f"{given[1]}{REDACTED}"
    return hidden_text(word)


def hands_over(command: Sequence[str]) -> bool:
    """Whether a command carries a credential in clear."""
    return any(hidden_word(before, word) != word for before, word in zip(("", *command), command, strict=False))


def leaks(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the variables that look secret by name or by value, in order."""
    return tuple(
        sorted(name for name, value in variables.items() if is_credential(name, value) or hidden_text(value) != value)
    )


@lru_cache(maxsize=10_000)
def _hidden(text: str, next_word: bool) -> str:
    if value_looks_secret(text):
        return REDACTED
    parts, done = list[str](), 0
    for name in _GIVEN_TO.finditer(text):
        if name.start() < done or not name_looks_secret(name[2]):
            continue
        given = _given(text, name, next_word)
        if given is not None and is_credential(name[2], given["value"]):
            parts += [text[done : given.start("value")], REDACTED]
            done = given.end("value")
    return "".join([*parts, text[done:]])


def _given(text: str, name: re.Match[str], next_word: bool) -> re.Match[str] | None:
    """What is given to a name: to an option in other ways than to a key, and to a key that starts its line unquoted."""
    ways = [_ASSIGNED, _FIELD]
    if name[1]:
        ways += [_LISTED, _NEXT] if next_word else [_LISTED]
    if not text[text.rfind("\n", 0, name.start()) + 1 : name.start()].strip(" \t-\"'"):
        ways.append(_LINE)
    return next((given for way in ways if (given := way.match(text, name.end())) is not None), None)
