"""Bodies of requests and answers of the catalogue, version 1.

Owns what clients may send and may rely on. Deliberately not the tables: those change with any migration, this
only with a new version.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

SKU_PATTERN = "^[A-Z0-9][A-Z0-9-]{0,63}$"
"""Capitals, digits and hyphens, at most 64."""


class ProductWrite(BaseModel):
    """What an administrator states of a product."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
    """Name as customers read it, in one line."""
    price_cents: Annotated[int, Field(ge=0, le=100_000_000)]
    """Price of a piece."""


class ProductRead(BaseModel):
    """A product."""

    model_config = ConfigDict(frozen=True, from_attributes=True, strict=True, use_attribute_docstrings=True)

    id: UUID
    sku: str
    """Stock-keeping unit."""
    name: str
    price_cents: int | None
    """Price of a piece; null where it has none yet."""
    created_at: datetime
    """Time of creation, UTC."""
    updated_at: datetime
    """Time of the last change, UTC."""


class ProductPage(BaseModel):
    """A page of products, the newest first."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    items: list[ProductRead]
    next_after: str | None
    """`after` of the next page; null on the last."""
