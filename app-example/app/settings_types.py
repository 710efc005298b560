"""Types of settings: what a variable's text must look like.

Owns parsing and refusal, each with one message that says what is wanted and never shows the value where it may
be a secret. Deliberately decides nothing about which settings a deployment needs: that is `app.settings`.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic.networks import AnyHttpUrl

KEY_MIN_BYTES = 32
"""256 bits: what HS256 asks for. Source: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""
KEY_MIN_DISTINCT_BYTES = 16
"""32 random bytes have about 30 different values; text that somebody typed, or padding, has few."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_KEY_WANTED = "want ID:BASE64URL[,ID:BASE64URL…], each key 32 random bytes or more"
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\*|\[[0-9a-f:]+\]", re.ASCII)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
_PLACEHOLDER = re.compile(rb"secret|change|example|password|placeholder|default|insecure|test|abcdef|0123", re.I)
_STORAGE_SCHEMES = ("file:///", "gs://", "memory://", "s3://")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys of access tokens by their id, in the order of the setting: the first signs, all verify."""

    keys: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def current(self) -> tuple[str, bytes]:
        """Id and key that new tokens are signed with."""
        return self.keys[0]

    def find(self, key_id: str) -> bytes | None:
        """Return the key of an id, or None where there is no such key any more."""
        return dict(self.keys).get(key_id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the setting.

        Raises:
            ValueError: A key is malformed, short or nothing that a random generator makes.
        """
        keys = tuple(_key(entry) for entry in text.split(","))
        if len(dict(keys)) != len(keys):
            raise ValueError("want a different id for each key")
        return cls(keys)

    @classmethod
    def derived(cls, secret: str) -> Self:
        """Derive one key from another secret that all replicas share; for a developer's machine."""
        return cls((("local", hmac.new(secret.encode(), b"access tokens", hashlib.sha256).digest()),))


def _key(entry: str) -> tuple[str, bytes]:
    key_id, _, text = entry.strip().partition(":")
    try:
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError(_KEY_WANTED) from None
    if not _KEY_ID.fullmatch(key_id) or len(key) < KEY_MIN_BYTES:
        raise ValueError(_KEY_WANTED)
    if len(set(key)) < KEY_MIN_DISTINCT_BYTES or _PLACEHOLDER.search(key):
        raise ValueError(f"{_KEY_WANTED}; this one was not made by a random generator")
    return key_id, key


def credential(value: SecretStr | None) -> SecretStr | None:
    """Check that a credential is more than blanks, and goes into a header as it is."""
    if value is not None and not re.fullmatch(r"[\x21-\x7e]*", value.get_secret_value()):
        raise ValueError("want a credential without spaces")
    return value


def redis_address(value: SecretStr | None) -> SecretStr | None:
    """Check the address of a Redis."""
    wanted = "want redis://[USER:PASSWORD@]HOST:PORT[/NUMBER] or rediss://…"
    if value is not None and not re.fullmatch(r"rediss?://[^\s/]+(/\d+)?(\?\S*)?", value.get_secret_value()):
        raise ValueError(wanted)
    return value


def tracker_address(value: SecretStr | None) -> SecretStr | None:
    """Check the address of an error tracker."""
    if value is not None:
        # Importing it binds a socket and takes a sixth of a second: only where there is a tracker.
        from sentry_sdk.utils import Dsn  # noqa: PLC0415

        try:
            Dsn(value.get_secret_value())
        except ValueError:
            raise ValueError("want https://KEY@HOST/PROJECT") from None
    return value


def storage_address(value: str | None) -> str | None:
    """Check the address of a bucket."""
    if value is not None and not value.startswith(_STORAGE_SCHEMES):
        raise ValueError(f"want an address that begins with {', '.join(_STORAGE_SCHEMES)}")
    return value


def http_address(value: str | None) -> str | None:
    """Check the address of another service; credentials have variables of their own."""
    if value is None:
        return None
    address = AnyHttpUrl(value)
    if address.username or address.password:
        raise ValueError("want an address without credentials")
    return value.rstrip("/")


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("want names such as api.example.com or *.example.com, with commas between")
    return value.lower()


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("want addresses such as https://shop.example.com, without a path, never *")
    return value.lower()


comma_separated = BeforeValidator(_split)
"""Reads a list from text with commas between."""
Host = Annotated[str, AfterValidator(_host)]
Origin = Annotated[str, AfterValidator(_origin)]
Keys = Annotated[
    SigningKeys, BeforeValidator(lambda value: SigningKeys.parse(value) if isinstance(value, str) else value)
]
