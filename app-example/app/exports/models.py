"""Table of exports.

Owns columns and constraints as the code sees them. The row is the truth about an export: the queue in Redis only
says that somebody should look at it, once or several times.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base

PREFIX = "exports/"
"""Where the objects are."""


class Status(StrEnum):
    """How far an export is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Failure(StrEnum):
    """Why an export failed for good, in words that show nothing of the internals."""

    GAVE_UP = "gave_up"
    """Every worker that tried it ended in the middle."""
    INTERNAL = "internal"
    """An error that the log explains."""
    STORAGE = "storage_unavailable"
    TIMEOUT = "timed_out"


def object_name(export_id: UUID, lease_id: UUID) -> str:
    """Return where one attempt writes.

    Each attempt has its own object, so that a worker that lost its lease and does not know it yet spoils nothing.
    """
    return f"{PREFIX}{export_id}/{lease_id}"


class Export(Base):
    """One export."""

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status_known"),
        # Few rows, whatever the table's size: what workers look for, and what a tenant may have open.
        Index("ix_exports_open", "tenant_id", postgresql_where=text("status IN ('queued', 'running')")),
        Index("ix_exports_to_notify", "notify_after", postgresql_where=text("notify_after IS NOT NULL")),
        Index("ix_exports_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID]
    """Whose orders."""
    created_by: Mapped[UUID]
    """Who asked."""
    status: Mapped[str] = mapped_column(String(16), default=Status.QUEUED)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When it was asked for; orders that are younger are not in it."""
    available_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """Not to be tried before."""
    announced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When somebody was last told, or tried to tell, that it or its notice waits; null to be told at the next sweep."""
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often a worker began; one that was told to stop does not count."""
    lease_id: Mapped[UUID | None]
    """Which attempt works on it, or has finished it."""
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the attempt is taken for dead."""
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rows: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    failure: Mapped[str | None] = mapped_column(String(32))
    notify_after: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When to tell the webhook next; null when there is nothing to tell."""
    notify_attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
