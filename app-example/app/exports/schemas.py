"""Answers of the exports resource, version 1.

Owns what clients may rely on. Deliberately shows neither leases nor attempts: those are the workers' business.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class ExportRead(BaseModel):
    """An export and how far it is."""

    model_config = ConfigDict(frozen=True, from_attributes=True, strict=True, use_attribute_docstrings=True)

    id: UUID
    status: Literal["queued", "running", "done", "failed"]
    """`done` and `failed` are final."""
    created_at: datetime
    """Time of the request, UTC; younger orders are not in the export."""
    finished_at: datetime | None
    """When it became final."""
    rows: int | None
    """Orders in it, once it is done."""
    size_bytes: int | None
    """Size of the file, once it is done."""
    failure: Literal["gave_up", "internal", "storage_unavailable", "timed_out"] | None
    """Why it failed."""
