"""Tokens that only Postgres can tell the meaning of: refresh tokens and password resets.

Owns how one is made and what is stored of it. A hash without salt or cost is enough, because nobody can guess 256
random bits; deliberately not for passwords, which people choose.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html
"""

import hashlib
import secrets

RANDOM_BYTES = 32
"""256 bits: cannot be guessed, however many tokens there are."""
MAX_LENGTH = 100
"""Longest that is looked at; ours have 43 characters, 76 with an id before them."""


def new_token() -> str:
    """Return a token that nobody has seen."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
