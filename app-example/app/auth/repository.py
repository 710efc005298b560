"""Statements about accounts.

Owns all SQL about users, refresh tokens and password resets. What must not happen twice is one statement whose
condition Postgres checks under the row's lock. Deliberately neither commits nor knows about HTTP.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Float, cast, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import PasswordReset, PasswordResetRequest, RefreshToken, User
from app.auth.tokens import Role

SWEEP = 100
"""Requests for a reset that one sweep announces."""
_UNTRACKED = {"synchronize_session": False}
"""No object that the session already holds follows the statement; none is used afterwards."""


class AccountRepository:
    """Accounts in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def add(self, *, email: str, password_hash: str, role: Role, tenant_id: UUID) -> UUID | None:
        """Store a new account and return its id, or None where the address has one."""
        values = {"email": email, "password_hash": password_hash, "role": role, "tenant_id": tenant_id}
        statement = insert(User).values(values).on_conflict_do_nothing(index_elements=[User.email])
        return await self._session.scalar(statement.returning(User.id))

    async def find(self, email: str) -> User | None:
        """Return the account of an address in small letters."""
        return await self._session.scalar(select(User).where(User.email == email))

    async def get_enabled(self, user_id: UUID) -> User | None:
        """Return an account that can be used."""
        return await self._session.scalar(select(User).where(User.id == user_id, User.disabled_at.is_(None)))

    async def lock_unchanged(self, user: User) -> bool:
        """Keep an account as it was read until the end of the transaction; False where it is not so any more."""
        unchanged = (User.id == user.id, User.password_hash == user.password_hash, User.disabled_at.is_(None))
        return await self._session.scalar(select(User.id).where(*unchanged).with_for_update()) is not None

    async def set_password(self, user_id: UUID, password_hash: str) -> bool:
        """Replace the hash of an account that can be used; False where there is none."""
        statement = update(User).where(User.id == user_id, User.disabled_at.is_(None))
        changed = statement.values(password_hash=password_hash).returning(User.id)
        return await self._session.scalar(changed, execution_options=_UNTRACKED) is not None

    async def disable(self, email: str) -> UUID | None:
        """Let nobody use an account any more and return its id; None where nobody could."""
        statement = update(User).where(User.email == email, User.disabled_at.is_(None))
        disabled = statement.values(disabled_at=func.now()).returning(User.id)
        return await self._session.scalar(disabled, execution_options=_UNTRACKED)


class RefreshTokenRepository:
    """Refresh tokens in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def add(self, *, family: UUID, user_id: UUID, token_hash: bytes, lifetime: timedelta) -> None:
        """Store a new sign-in, and forget those of the account that have expired."""
        expired = (RefreshToken.user_id == user_id, RefreshToken.expires_at <= func.now())
        await self._session.execute(delete(RefreshToken).where(*expired), execution_options=_UNTRACKED)
        expires_at = func.now() + lifetime
        values = {"id": family, "user_id": user_id, "token_hash": token_hash, "expires_at": expires_at}
        await self._session.execute(insert(RefreshToken).values(values))

    async def find(self, family: UUID) -> RefreshToken | None:
        """Return a sign-in as it is at this moment."""
        return await self._session.get(RefreshToken, family)

    async def rotate(self, family: UUID, *, used: bytes, new: bytes) -> bool:
        """Put a new hash in the place of the used one; False where that is not the valid one (any more)."""
        valid = (
            RefreshToken.id == family,
            RefreshToken.token_hash == used,
            RefreshToken.revoked_at.is_(None),
            RefreshToken.expires_at > func.now(),
        )
        rotated = update(RefreshToken).where(*valid).values(token_hash=new, rotated_at=func.now())
        return await self._session.scalar(rotated.returning(RefreshToken.id), execution_options=_UNTRACKED) is not None

    async def revoke(self, family: UUID) -> None:
        """End a sign-in."""
        await self._revoke(RefreshToken.id == family)

    async def revoke_all(self, user_id: UUID) -> None:
        """End every sign-in of an account."""
        await self._revoke(RefreshToken.user_id == user_id)

    async def _revoke(self, condition: ColumnElement[bool]) -> None:
        statement = update(RefreshToken).where(condition, RefreshToken.revoked_at.is_(None))
        await self._session.execute(statement.values(revoked_at=func.now()), execution_options=_UNTRACKED)


class PasswordResetRepository:
    """Open password resets in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def put(self, *, user_id: UUID, token_hash: bytes, lifetime: timedelta) -> None:
        """Store a reset in the place of the one that was open."""
        values = {"token_hash": token_hash, "created_at": func.now(), "expires_at": func.now() + lifetime}
        statement = insert(PasswordReset).values({"user_id": user_id, **values})
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=[PasswordReset.user_id], set_=values)
        )

    async def take(self, token_hash: bytes) -> UUID | None:
        """Use up a reset and return whose it is; None where there is no such reset, or not any more."""
        valid = (PasswordReset.token_hash == token_hash, PasswordReset.expires_at > func.now())
        taken = delete(PasswordReset).where(*valid).returning(PasswordReset.user_id)
        return await self._session.scalar(taken, execution_options=_UNTRACKED)


class ClaimedReset(NamedTuple):
    """A request that one worker has taken."""

    email: str
    attempts: int
    """How many have begun, this one included."""
    age_seconds: float


class ResetRequestRepository:
    """Password resets that somebody asked for, in one session. All times are Postgres's."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def put(self, email: str) -> UUID:
        """Store a request in the place of the one that was open for the address, and return its id."""
        now = func.now()
        values = {"id": uuid4(), "created_at": now, "due_at": now, "announced_at": now, "attempts": 0}
        statement = insert(PasswordResetRequest).values({"email": email, **values})
        stored = statement.on_conflict_do_update(index_elements=[PasswordResetRequest.email], set_=values)
        return (await self._session.scalars(stored.returning(PasswordResetRequest.id))).one()

    async def claim(self, request_id: UUID, seconds: float) -> ClaimedReset | None:
        """Keep a request that is due from others for some time."""
        due = (PasswordResetRequest.id == request_id, PasswordResetRequest.due_at <= func.now())
        values = {"due_at": func.now() + timedelta(seconds=seconds), "attempts": PasswordResetRequest.attempts + 1}
        claimed = update(PasswordResetRequest).where(*due).values(values)
        age = cast(func.extract("epoch", func.now() - PasswordResetRequest.created_at), Float)
        found = claimed.returning(PasswordResetRequest.email, PasswordResetRequest.attempts, age)
        row = (await self._session.execute(found, execution_options=_UNTRACKED)).one_or_none()
        return None if row is None else ClaimedReset(*row)

    async def postpone(self, request_id: UUID, attempts: int, seconds: float) -> bool:
        """Leave a request for later; False where another one has taken its place, or another attempt has begun."""
        ours = (PasswordResetRequest.id == request_id, PasswordResetRequest.attempts == attempts)
        values = {"due_at": func.now() + timedelta(seconds=seconds), "announced_at": None}
        later = update(PasswordResetRequest).where(*ours).values(values).returning(PasswordResetRequest.id)
        return await self._session.scalar(later, execution_options=_UNTRACKED) is not None

    async def remove(self, request_id: UUID) -> None:
        """Delete a request that is done."""
        done = delete(PasswordResetRequest).where(PasswordResetRequest.id == request_id)
        await self._session.execute(done, execution_options=_UNTRACKED)

    async def announce(self, again_after_seconds: float) -> Sequence[UUID]:
        """Return what waits though nobody was told of it lately, and note that they are told now."""
        told = PasswordResetRequest.announced_at
        stale = or_(told.is_(None), told < func.now() - timedelta(seconds=again_after_seconds))
        chosen = (
            select(PasswordResetRequest.email)
            .where(PasswordResetRequest.due_at <= func.now(), stale)
            .order_by(PasswordResetRequest.due_at)
            .limit(SWEEP)
            .with_for_update(skip_locked=True)
        )
        statement = update(PasswordResetRequest).where(PasswordResetRequest.email.in_(chosen))
        noted = statement.values(announced_at=func.now()).returning(PasswordResetRequest.id)
        return (await self._session.scalars(noted, execution_options=_UNTRACKED)).all()

    async def give_up(self, age: timedelta) -> Sequence[UUID]:
        """Delete the requests of some age and return their ids."""
        old = delete(PasswordResetRequest).where(PasswordResetRequest.created_at < func.now() - age)
        gone = old.returning(PasswordResetRequest.id)
        return (await self._session.scalars(gone, execution_options=_UNTRACKED)).all()
