"""Tables of the catalogue.

Owns columns and constraints as the code sees them. Deliberately creates nothing: only migrations change the
schema.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base


class Product(Base):
    """Something that can be ordered."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        # The order of the list; see `app.pagination`.
        Index(None, "created_at", "id"),
        UniqueConstraint("sku"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    sku: Mapped[str] = mapped_column(String(64))
    """Stock-keeping unit, under which everybody knows it."""
    name: Mapped[str] = mapped_column(String(200))
    price_cents: Mapped[int | None]
    """Price of a piece; null where nobody has set one, as for what was ordered before there was a catalogue."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When it was last written."""
