"""Bodies of requests and answers about accounts, version 1.

Owns what an address and a password may look like, and what clients may rely on. The refresh token is in none of
them: it travels in a cookie that scripts cannot read. Deliberately asks of a password its length only: rules about
its characters make passwords worse. Source: https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.auth import opaque_tokens
from app.auth.tokens import Role

PASSWORD_MIN_LENGTH = 12
"""Shortest new password, in characters."""
PASSWORD_MAX_LENGTH = 128
"""Longest password: room for any phrase, and a bound to what one request makes us hash."""

# What browsers accept in <input type=email>, with a dot in the domain. ASCII: lower case then means one thing.
# Source: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(\.{_LABEL})+$"

Email = Annotated[str, Field(max_length=254, pattern=_EMAIL), AfterValidator(str.lower)]
NewPassword = Annotated[SecretStr, Field(min_length=PASSWORD_MIN_LENGTH, max_length=PASSWORD_MAX_LENGTH)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_MAX_LENGTH)]

_REQUEST = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
_ANSWER = ConfigDict(frozen=True, from_attributes=True, strict=True, use_attribute_docstrings=True)


class Registration(BaseModel):
    """What somebody sends to get an account."""

    model_config = _REQUEST

    email: Email
    """Address; small and capital letters are the same."""
    password: NewPassword
    """Password: 12 to 128 characters, of any kind."""


class Credentials(BaseModel):
    """What somebody sends to sign in."""

    model_config = _REQUEST

    email: Email
    """Address of the account."""
    password: Password
    """Its password."""


class ResetRequest(BaseModel):
    """What somebody sends who has forgotten the password."""

    model_config = _REQUEST

    email: Email
    """Address of the account."""


class ResetConfirmation(BaseModel):
    """What somebody sends who got the message about it."""

    model_config = _REQUEST

    token: Annotated[SecretStr, Field(min_length=1, max_length=opaque_tokens.MAX_LENGTH)]
    """Token of the message; it works once."""
    password: NewPassword
    """New password: 12 to 128 characters, of any kind."""


class Accepted(BaseModel):
    """The same answer whether or not there is such an account."""

    model_config = _ANSWER

    detail: str
    """What happens now."""


class TokenRead(BaseModel):
    """What a client needs to call the other routes."""

    model_config = _ANSWER

    access_token: str
    """For the header `Authorization: Bearer …`."""
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds until it expires; refresh before."""


class AccountRead(BaseModel):
    """The account of the caller."""

    model_config = _ANSWER

    id: UUID
    tenant_id: UUID
    """Whose things the account sees."""
    email: str
    """Address, in small letters."""
    role: Role
    """What the account may do within its tenant."""
    created_at: datetime
    """Time of registration, UTC."""
