"""What one can do with an account.

Owns who may sign in, how a sign-in goes on and ends, and where a transaction begins and ends. No connection is held
while a password is hashed. A refusal never says which part was wrong. A sign-in that was ended, or an account that was
disabled, keeps its last access token until that expires. Deliberately knows neither HTTP nor SQL.

Registering tells nothing, but whoever registers an address and can then sign in knows that it was free. A service
for which that is too much sends the first token by mail.
"""

import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.limits import REGISTER_BY_ACCOUNT, SIGN_IN_BY_ACCOUNT
from app.auth.models import User
from app.auth.opaque_tokens import new_token, token_hash
from app.auth.passwords import PasswordHashes, Passwords
from app.auth.registration import register
from app.auth.repository import AccountRepository, RefreshTokenRepository
from app.auth.schemas import AccountRead, Credentials, Registration
from app.auth.tokens import AccessTokens, Identity
from app.database import Session
from app.rate_limits import CurrentRateLimits, RateLimits
from app.settings import Settings


class SignInRefusedError(Exception):
    """The credentials, or the account they belong to, are not good for a sign-in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """What somebody gets who has proven who they are."""

    access_token: str = field(repr=False)
    access_token_seconds: int
    """Life of the access token."""
    refresh_token: str = field(repr=False)
    refresh_token_seconds: int
    """What is left of the sign-in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountService:
    """Accounts, for the length of one request."""

    session: AsyncSession
    limits: RateLimits
    passwords: Passwords
    refresh_lifetime: timedelta
    tokens: AccessTokens

    async def register(self, request: Registration) -> None:
        """Open an account in a tenant of its own, unless the address has one; nobody learns which."""
        await self.limits.count(REGISTER_BY_ACCOUNT, request.email)
        await register(self.session, self.passwords, request)

    async def sign_in(self, request: Credentials) -> SignedIn:
        """Begin a sign-in.

        Raises:
            SignInRefusedError: Unknown account, wrong password or disabled account, after the same time.
            LimitExceededError: Too many attempts at this account.
        """
        await self.limits.count(SIGN_IN_BY_ACCOUNT, request.email)
        async with self.session.begin():
            user = await AccountRepository(self.session).find(request.email)
        password = request.password.get_secret_value()
        right, better_hash = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or not right or user.disabled_at is not None:
            raise SignInRefusedError
        family, refresh_token = uuid4(), new_token()
        async with self.session.begin():
            # The password may have been reset, or the account disabled, since it was read.
            if not await AccountRepository(self.session).lock_unchanged(user):
                raise SignInRefusedError
            if better_hash:
                await AccountRepository(self.session).set_password(user.id, better_hash)
            await RefreshTokenRepository(self.session).add(
                family=family, user_id=user.id, token_hash=token_hash(refresh_token), lifetime=self.refresh_lifetime
            )
        return self._signed_in(user, _join(family, refresh_token), self.refresh_lifetime)

    async def refresh(self, used_token: str) -> SignedIn:
        """Go on with a sign-in; the token that was used never works again.

        Raises:
            SignInRefusedError: The token is not the valid one. One that was replaced before ends the sign-in: it is
                in two hands. Of two requests that bring the valid one at the same time, one is only refused.
        """
        family, used = _split(used_token)
        new = new_token()
        async with self.session.begin():
            tokens = RefreshTokenRepository(self.session)
            found = await tokens.find(family)
            if found is None:
                raise SignInRefusedError
            replayed = not hmac.compare_digest(found.token_hash, used)
            if replayed:
                await tokens.revoke(family)
            user = await AccountRepository(self.session).get_enabled(found.user_id)
            going_on = user is not None and await tokens.rotate(family, used=used, new=token_hash(new))
        if user is None or not going_on:
            raise SignInRefusedError
        return self._signed_in(user, _join(family, new), found.expires_at - datetime.now(UTC))

    async def sign_out(self, token: str) -> None:
        """End the sign-in that a refresh token belongs to, if there is one."""
        with suppress(SignInRefusedError):
            family, _ = _split(token)
            async with self.session.begin():
                await RefreshTokenRepository(self.session).revoke(family)

    async def read(self, identity: Identity) -> AccountRead:
        """Return the account of the caller.

        Raises:
            SignInRefusedError: It was disabled or deleted after the token was given out.
        """
        async with self.session.begin():
            user = await AccountRepository(self.session).get_enabled(identity.user_id)
        if user is None:
            raise SignInRefusedError
        return AccountRead.model_validate(user)

    def _signed_in(self, user: User, refresh_token: str, rest: timedelta) -> SignedIn:
        identity = Identity(user_id=user.id, tenant_id=user.tenant_id, role=user.role)
        return SignedIn(
            access_token=self.tokens.issue(identity),
            access_token_seconds=int(self.tokens.lifetime.total_seconds()),
            refresh_token=refresh_token,
            refresh_token_seconds=int(rest.total_seconds()),
        )


def _join(family: UUID, token: str) -> str:
    return f"{family.hex}.{token}"


def _split(token: str) -> tuple[UUID, bytes]:
    """Return the family of a refresh token and the hash of the rest."""
    family, _, secret = token.partition(".")
    try:
        return UUID(family), token_hash(secret)
    except ValueError:
        raise SignInRefusedError from None


async def account_service(
    request: Request, session: Session, limits: CurrentRateLimits, passwords: PasswordHashes
) -> AccountService:
    """Provide the service to an endpoint."""
    settings: Settings = request.state.settings
    return AccountService(
        session=session,
        limits=limits,
        passwords=passwords,
        refresh_lifetime=timedelta(days=settings.refresh_token_days),
        tokens=request.state.access_tokens,
    )


Accounts = Annotated[AccountService, Depends(account_service)]
