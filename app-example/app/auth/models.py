"""Tables of accounts.

Owns columns and constraints as the code sees them. No column holds a password or a token: hashes only. Deliberately
known to nobody outside this folder: other tables keep a user's id as an opaque value, without a foreign key.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Enum, ForeignKey, Index, LargeBinary, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.tokens import Role
from app.database import Base


def _values(roles: type[Role]) -> list[str]:
    return [role.value for role in roles]


class User(Base):
    """One account."""

    __tablename__ = "users"
    __table_args__ = (
        # With the unique constraint: one account for an address, however it is written.
        CheckConstraint("email = lower(email)", name="email_lower_case"),
        CheckConstraint("role IN ('member', 'admin')", name="role_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(default=uuid4)
    """Whose things the account sees; a tenant of its own unless told."""
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """Address in small letters. Personal: never in a log line, a token or a metric."""
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(Enum(Role, native_enum=False, length=16, values_callable=_values))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when nobody can sign in; tokens that were given out end with their own life."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class RefreshToken(Base):
    """One sign-in: a family of tokens of which only the latest counts.

    The row says which one that is, so that rotation, revocation and the discovery of a replay are each one update of
    one row, and a sign-in takes one row however often it is refreshed.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    """The family; part of the token, and no secret."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of the token that may be used next."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    rotated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the token before this one was used."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """End of the sign-in; no rotation moves it."""
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PasswordReset(Base):
    """The one reset that is open for an account; a new one replaces it, and its use deletes it."""

    __tablename__ = "password_resets"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PasswordResetRequest(Base):
    """A reset that somebody asked for and that no message tells of yet; a new one takes the place of an address's last.

    It is stored for an address without an account too, or its absence would show in the time of the answer.
    """

    __tablename__ = "password_reset_requests"

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    """Address in small letters. Personal, as that of an account."""
    id: Mapped[UUID] = mapped_column(unique=True)
    """What messages and log lines call it; new with each request."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When the next attempt may begin."""
    announced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When workers were told; null for not since the last attempt."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
