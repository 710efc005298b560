"""Passwords that were forgotten.

Owns the way from a request to a new password. Whether an account exists shows neither in the answer nor in its time:
a reset is made and handed over after the answer, in a task of the process. Such a task is lost with the process,
and its owner asks again. Deliberately signs nobody in: a new password is used like any other.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.limits import RESET_BY_ACCOUNT
from app.auth.models import User
from app.auth.opaque_tokens import new_token, token_hash
from app.auth.passwords import PasswordHashes, Passwords
from app.auth.repository import AccountRepository, PasswordResetRepository, RefreshTokenRepository
from app.auth.reset_messages import OutgoingResetMessages, ResetMessage, ResetMessages
from app.auth.schemas import ResetConfirmation, ResetRequest
from app.database import Database, Session
from app.rate_limits import CurrentRateLimits, RateLimits

RESET_LIFETIME = timedelta(minutes=30)
"""Time to read the message and choose a password."""
HANDOVER_SECONDS = 10.0
"""Longest that a reset takes to be stored and handed over; a stop of the process waits for it."""

_logger = logging.getLogger(__name__)


class ResetRefusedError(Exception):
    """There is no such reset, or not any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PasswordResetService:
    """Password resets, for the length of one request."""

    session: AsyncSession
    database: Database
    limits: RateLimits
    messages: ResetMessages
    passwords: Passwords
    tasks: asyncio.TaskGroup

    async def request(self, request: ResetRequest) -> None:
        """Begin a reset where there is an account that can be used; nobody learns whether there is.

        Raises:
            LimitExceededError: Too many requests for this address.
        """
        await self.limits.count(RESET_BY_ACCOUNT, request.email)
        async with self.session.begin():
            user = await AccountRepository(self.session).find(request.email)
        if user is not None and user.disabled_at is None:
            self.tasks.create_task(_begin(self.database, self.messages, user))

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


async def _begin(database: Database, messages: ResetMessages, user: User) -> None:
    token = new_token()
    try:
        async with asyncio.timeout(HANDOVER_SECONDS):
            async with database.sessions() as session, session.begin():
                await PasswordResetRepository(session).put(
                    user_id=user.id, token_hash=token_hash(token), lifetime=RESET_LIFETIME
                )
            await messages.send(ResetMessage(email=user.email, token=token))
    except Exception as exc:
        # Its text may name the address; one that left the task would end the process.
        _logger.error("a password reset was not handed over", extra={"fields": {"error": type(exc).__name__}})


@asynccontextmanager
async def open_tasks() -> AsyncGenerator[asyncio.TaskGroup]:
    """Give the tasks of the process that outlive an answer, and wait for them in the end."""
    async with asyncio.TaskGroup() as tasks:
        yield tasks


async def password_reset_service(
    request: Request,
    session: Session,
    limits: CurrentRateLimits,
    messages: OutgoingResetMessages,
    passwords: PasswordHashes,
) -> PasswordResetService:
    """Provide the service to an endpoint."""
    return PasswordResetService(
        session=session,
        database=request.state.database,
        limits=limits,
        messages=messages,
        passwords=passwords,
        tasks=request.state.reset_tasks,
    )


PasswordResets = Annotated[PasswordResetService, Depends(password_reset_service)]
