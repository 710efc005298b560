"""Tables of the orders resource.

Owns columns and constraints as the code sees them. Deliberately creates nothing: only migrations change the
schema.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Enum, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import Base
from app.products.models import Product


class OrderStatus(StrEnum):
    """Where an order is on its way."""

    PLACED = "placed"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


def _values(statuses: type[OrderStatus]) -> list[str]:
    return [each.value for each in statuses]


class Order(Base):
    """One order."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("status IN ('placed', 'shipped', 'cancelled')", name="status_known"),
        # Lists of the release before tenants; goes when none of it runs any more.
        Index(None, "created_at", "id"),
        # The order of every list; see `app.pagination`.
        Index(None, "tenant_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID]
    """Whose it is. Orders from before tenants are nobody's: the id of zeros, which no token ever names."""
    created_by: Mapped[UUID]
    """The user who placed it; zeros in orders from before users."""
    product_id: Mapped[UUID | None] = mapped_column(ForeignKey("products.id"))
    """What was ordered; null where a release without a catalogue stored it."""
    sku: Mapped[str] = mapped_column(String(64))
    """What it was called when it was ordered."""
    quantity: Mapped[int]
    """How many pieces; positive."""
    status: Mapped[OrderStatus] = mapped_column(
        Enum(OrderStatus, native_enum=False, length=16, values_callable=_values),
        default=OrderStatus.PLACED,
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When Postgres began to store it."""

    # Loading it unasked, one statement for each order of a list, is an error.
    product: Mapped[Product | None] = relationship(lazy="raise")

    @property
    def product_name(self) -> str | None:
        """Name of the product today; None where there is none."""
        return None if self.product is None else self.product.name
