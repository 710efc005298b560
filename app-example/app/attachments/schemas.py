"""Answers of the attachments resource, version 1.

Owns what clients may rely on. What they send is a form with a file: `app.attachments.upload`.
"""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class AttachmentContent(BaseModel):
    """What makes two uploads the same request."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str
    media_type: str
    sha256: str


class AttachmentRead(BaseModel):
    """A file as it is stored."""

    model_config = ConfigDict(frozen=True, from_attributes=True, strict=True, use_attribute_docstrings=True)

    id: UUID
    order_id: UUID
    name: str
    """What the sender called it, without path and control characters."""
    media_type: str
    """What the content is."""
    size_bytes: int
    created_at: datetime
    """Time of creation, UTC."""


class AttachmentList(BaseModel):
    """All files of an order, in the order of their arrival; an order has few."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    items: list[AttachmentRead]
