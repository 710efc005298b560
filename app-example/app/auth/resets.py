"""Passwords that were forgotten.

Owns the way from a request to a new password. Whether an account exists shows neither in the answer nor in its time:
a request stores one row for any address, and a worker finds out later whom it concerns (`app.auth.reset_delivery`).
Deliberately signs nobody in: a new password is used like any other.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.limits import RESET_BY_ACCOUNT
from app.auth.opaque_tokens import token_hash
from app.auth.passwords import PasswordHashes, Passwords
from app.auth.repository import (
    AccountRepository,
    PasswordResetRepository,
    RefreshTokenRepository,
    ResetRequestRepository,
)
from app.auth.schemas import ResetConfirmation, ResetRequest
from app.database import Session
from app.rate_limits import CurrentRateLimits, RateLimits

RESET_LIFETIME = timedelta(minutes=30)
"""Time to read the message and choose a password."""
GIVE_UP_AFTER = timedelta(hours=1)
"""Whoever has waited so long for a message has asked again; until then its address is stored."""


class ResetRefusedError(Exception):
    """There is no such reset, or not any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PasswordResetService:
    """Password resets, for the length of one request."""

    session: AsyncSession
    limits: RateLimits
    passwords: Passwords

    async def request(self, request: ResetRequest) -> UUID:
        """Store that somebody wants a reset, and return under which id; nobody learns whether there is an account.

        Raises:
            LimitExceededError: Too many requests for this address.
        """
        await self.limits.count(RESET_BY_ACCOUNT, request.email)
        async with self.session.begin():
            return await ResetRequestRepository(self.session).put(request.email)

    async def confirm(self, request: ResetConfirmation) -> None:
        """Set a new password, use up the reset and end every sign-in of the account.

        Raises:
            ResetRefusedError: The token is unknown, used, replaced or expired, or the account is disabled.
        """
        password_hash = await self.passwords.hash(request.password.get_secret_value())
        async with self.session.begin():
            resets = PasswordResetRepository(self.session)
            user_id = await resets.take(token_hash(request.token.get_secret_value()))
            # First the account: a sign-in with the old password that is under way then fails, or is seen below.
            if user_id is None or not await AccountRepository(self.session).set_password(user_id, password_hash):
                raise ResetRefusedError
            await RefreshTokenRepository(self.session).revoke_all(user_id)


async def password_reset_service(
    session: Session, limits: CurrentRateLimits, passwords: PasswordHashes
) -> PasswordResetService:
    """Provide the service to an endpoint."""
    return PasswordResetService(session=session, limits=limits, passwords=passwords)


PasswordResets = Annotated[PasswordResetService, Depends(password_reset_service)]
