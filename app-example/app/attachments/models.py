"""Table of attachments.

Owns columns and constraints as the code sees them. The content is in the object storage, under a name that is made
of the id: a client's text never becomes part of a path.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base

PREFIX = "attachments/"
"""Where the objects are."""


class Attachment(Base):
    """One file."""

    __tablename__ = "attachments"
    __table_args__ = (
        CheckConstraint("size_bytes > 0", name="size_positive"),
        Index(None, "order_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID]
    """Whose it is."""
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    """What it belongs to, and goes with."""
    created_by: Mapped[UUID]
    """Who sent it."""
    name: Mapped[str] = mapped_column(String(100))
    """What the sender called it, made harmless; for people only."""
    media_type: Mapped[str] = mapped_column(String(64))
    """What the content is, whatever the sender said."""
    size_bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    @property
    def object_name(self) -> str:
        """Where the content is."""
        return f"{PREFIX}{self.id}"
