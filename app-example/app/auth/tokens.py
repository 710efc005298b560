"""Access tokens.

Owns what is in one, how it is signed and what a valid one must have. Deliberately keeps no state: a token that
was given out holds until it expires, which is why that is soon.
Source: https://www.rfc-editor.org/rfc/rfc8725
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import jwt

from app.settings import Settings
from app.settings_types import SigningKeys

ALGORITHM = "HS256"
"""The only one that is accepted, whatever a token says of itself."""
REQUIRED_CLAIMS = ("aud", "exp", "iat", "iss", "jti", "role", "sub", "tenant")


class InvalidTokenError(ValueError):
    """The token is not one of ours, or not any more."""


class Role(StrEnum):
    """What somebody may do within a tenant."""

    MEMBER = "member"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who calls: opaque ids, safe to log."""

    user_id: UUID
    tenant_id: UUID
    role: Role


class AccessTokens:
    """Signs and reads the tokens of one service."""

    def __init__(self, keys: SigningKeys, service_name: str, lifetime: timedelta) -> None:
        """Take the keys, the name that is issuer and audience, and how long a token holds."""
        self._keys = keys
        self._service_name = service_name
        self.lifetime = lifetime

    @classmethod
    def of(cls, settings: Settings) -> "AccessTokens":
        """Build from the settings."""
        return cls(settings.token_keys, settings.service_name, timedelta(minutes=settings.access_token_minutes))

    def issue(self, identity: Identity) -> str:
        """Return a new token for somebody who has proven who they are."""
        key_id, key = self._keys.current
        now = datetime.now(UTC)
        claims = {
            "aud": self._service_name,
            "exp": now + self.lifetime,
            "iat": now,
            "iss": self._service_name,
            "jti": uuid4().hex,
            "role": identity.role,
            "sub": str(identity.user_id),
            "tenant": str(identity.tenant_id),
        }
        return jwt.encode(claims, key, ALGORITHM, headers={"kid": key_id})

    def read(self, token: str) -> Identity:
        """Return who a token is about.

        Raises:
            InvalidTokenError: The token is malformed, foreign, expired or signed with another key or algorithm.
        """
        try:
            claims = self._claims(token)
            return Identity(user_id=UUID(claims["sub"]), tenant_id=UUID(claims["tenant"]), role=Role(claims["role"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as exc:
            raise InvalidTokenError(type(exc).__name__) from None

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._keys.find(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise InvalidTokenError("unknown key")
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=self._service_name,
            issuer=self._service_name,
            options={"require": list(REQUIRED_CLAIMS)},
        )
