"""What looks like a secret: names and values that must not stand in plain settings.

Owns the guess. Deliberately errs on the side of refusing: a false alarm costs a renamed variable, a miss puts a
credential into the state, the manifests and every log that prints them.
"""

import re

REDACTED = "[secret]"
"""What every output shows in place of a secret."""

_NAME = re.compile(
    r"(?:PASSWORDS?|PASSWD|PASSPHRASE)$"  # also as one word: PGPASSWORD
    r"|(?:^|_)(?:PASS|PW|PWD|SECRETS?|TOKENS?|CREDENTIALS?|DSN|DATABASE_URL|REDIS_URL|SECRET_KEY_BASE)$"
    r"|(?:^|_)(?:ACCESS|ACCOUNT|API|AUTH|COOKIE|ENCRYPTION|FERNET|HMAC|JWT|MASTER)_?KEYS?$"
    r"|(?:^|_)(?:PRIVATE|SECRET|SESSION|SIGNING|STRIPE)_?KEYS?$"
)
_ASSIGNMENT = re.compile(r"(?i:(?:password|passwd|secret|token)=[^\s$\"'])")
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"  # PEM
    r"|\b[a-z][a-z0-9+.-]*://[^/\s:@]*:(?![0-9]+/)[^\s@]+@"  # URL with a password
    r"|[?&](?:password|passwd|sslpassword|token|api_?key|secret)=[^\s&]"  # the same as a parameter
    r"|\b(?:Bearer|Basic) [A-Za-z0-9+/._~-]{16,}=*"  # Authorization header
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JWT
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key
    r"|\bAIza[0-9A-Za-z_-]{35}\b"  # Google API key
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}\b"  # Slack
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}\b"  # Stripe
    r"|\"private_key\"\s*:"  # Google service-account key file
)


def name_looks_secret(name: str) -> bool:
    """Whether a variable of this name usually holds a credential; `…_FILE`, `…_SECONDS` and the like do not."""
    return _NAME.search(name.upper()) is not None


def value_looks_secret(value: str) -> bool:
    """Whether the text has the shape of a credential."""
    return _VALUE.search(value) is not None


def assigns_secret(text: str) -> bool:
    """Whether the text gives a credential to an option or a variable, as `--password=…` and files of variables do."""
    return _ASSIGNMENT.search(text) is not None


def leaks(variables: dict[str, str]) -> tuple[str, ...]:
    """Names of the variables that look secret by name or by value, in order."""
    return tuple(
        sorted(
            name
            for name, value in variables.items()
            if value and (name_looks_secret(name) or value_looks_secret(value) or assigns_secret(value))
        )
    )
