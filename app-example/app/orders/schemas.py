"""Bodies of requests and answers of the orders resource, version 1.

Owns what clients may send and may rely on. Deliberately not the tables: those change with any migration, this
only with a new version.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.orders.models import OrderStatus
from app.products.schemas import SKU_PATTERN


class OrderCreate(BaseModel):
    """What a client sends to place an order."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    sku: Annotated[str, Field(max_length=64, pattern=SKU_PATTERN)]
    """Stock-keeping unit of a product: capitals, digits and hyphens, at most 64."""
    quantity: Annotated[int, Field(ge=1, le=1000)]
    """Pieces."""


class OrderRead(BaseModel):
    """An order as it is stored."""

    model_config = ConfigDict(frozen=True, from_attributes=True, strict=True, use_attribute_docstrings=True)

    id: UUID
    sku: str
    """Stock-keeping unit."""
    product_name: str | None
    """Name of the product today; null in an order from before there was a catalogue."""
    quantity: int
    """Pieces."""
    status: OrderStatus
    created_by: UUID
    """The user who placed it."""
    created_at: datetime
    """Time of creation, UTC."""


class OrderPage(BaseModel):
    """A page of orders, the newest first."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    items: list[OrderRead]
    next_after: str | None
    """`after` of the next page; null on the last."""


class Total(BaseModel):
    """How much there is of something."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    orders: int = 0
    pieces: int = 0


class OrderSummary(BaseModel):
    """All orders of a tenant in figures."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    placed: Total
    """Neither shipped nor cancelled."""
    shipped: Total
    cancelled: Total
