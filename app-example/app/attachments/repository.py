"""Statements of the attachments resource.

Owns all SQL about attachments; every one is within a tenant, except the sweep's. Deliberately neither commits nor
knows about HTTP.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.attachments.models import Attachment
from app.orders.models import Order


class AttachmentRepository:
    """Attachments in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def has_order(self, tenant_id: UUID, order_id: UUID, *, lock: bool = False) -> bool:
        """Whether the tenant has the order; locked, no other attachment is added before the transaction ends."""
        statement = select(Order.id).where(Order.id == order_id, Order.tenant_id == tenant_id)
        if lock:
            statement = statement.with_for_update(key_share=True)
        return await self._session.scalar(statement) is not None

    async def add(self, attachment: Attachment) -> None:
        """Store a new attachment and load what Postgres filled in."""
        self._session.add(attachment)
        await self._session.flush()

    async def count(self, order_id: UUID) -> int:
        """Return how many an order has."""
        statement = select(func.count()).select_from(Attachment).where(Attachment.order_id == order_id)
        return await self._session.scalar(statement) or 0

    async def of_order(self, tenant_id: UUID, order_id: UUID, limit: int) -> Sequence[Attachment]:
        """Return the attachments of an order, the oldest first."""
        statement = (
            select(Attachment)
            .where(Attachment.tenant_id == tenant_id, Attachment.order_id == order_id)
            .order_by(Attachment.created_at, Attachment.id)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def get(self, tenant_id: UUID, order_id: UUID, attachment_id: UUID) -> Attachment | None:
        """Return an attachment of an order, or None where the tenant has no such one."""
        statement = select(Attachment).where(
            Attachment.id == attachment_id, Attachment.order_id == order_id, Attachment.tenant_id == tenant_id
        )
        return await self._session.scalar(statement)

    async def remove(self, tenant_id: UUID, order_id: UUID, attachment_id: UUID) -> Attachment | None:
        """Delete an attachment and return what it was, or None where the tenant has no such one."""
        statement = (
            delete(Attachment)
            .where(Attachment.id == attachment_id, Attachment.order_id == order_id, Attachment.tenant_id == tenant_id)
            .returning(Attachment)
        )
        return await self._session.scalar(statement)

    async def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of some ids exist, whoever owns them."""
        return set(await self._session.scalars(select(Attachment.id).where(Attachment.id.in_(ids))))
