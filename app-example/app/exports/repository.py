"""Statements of the exports resource, for requests.

Owns what a tenant sees. What workers do with the same table is in `app.exports.leases`. Deliberately neither commits
nor knows about HTTP.
"""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.models import Export, Status

OPEN = (Status.QUEUED, Status.RUNNING)
"""Statuses that are not final."""


class ExportRepository:
    """Exports in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def add(self, export: Export) -> None:
        """Store a new export and load what Postgres filled in."""
        self._session.add(export)
        await self._session.flush()

    async def count_open(self, tenant_id: UUID) -> int:
        """Return how many a tenant waits for; nobody else of the tenant counts before the transaction ends."""
        await self._session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"exports {tenant_id}", 0)))
        )
        statement = (
            select(func.count()).select_from(Export).where(Export.tenant_id == tenant_id, Export.status.in_(OPEN))
        )
        return await self._session.scalar(statement) or 0

    async def get(self, tenant_id: UUID, export_id: UUID) -> Export | None:
        """Return an export, or None where the tenant has no such one."""
        return await self._session.scalar(select(Export).where(Export.id == export_id, Export.tenant_id == tenant_id))
