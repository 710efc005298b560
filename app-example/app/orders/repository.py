"""Statements of the orders resource.

Owns all SQL about orders, and that each statement is about one tenant's. Deliberately neither commits nor knows about
HTTP.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from app.orders.models import Order, OrderStatus
from app.pagination import Cursor


class OrderRepository:
    """Orders of one tenant in one session."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session
        self._tenant_id = tenant_id

    async def add(self, order: Order) -> None:
        """Store a new order and load what Postgres filled in."""
        order.tenant_id = self._tenant_id
        self._session.add(order)
        await self._session.flush()

    async def get(self, order_id: UUID) -> Order | None:
        """Return an order, or None where the tenant has no such order."""
        return await self._session.scalar(self._select().where(Order.id == order_id))

    async def newest(self, *, after: Cursor | None, limit: int) -> Sequence[Order]:
        """Return at most `limit` orders, the newest first, from behind the cursor on."""
        statement = self._select().order_by(Order.created_at.desc(), Order.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(Order.created_at, Order.id) < (after.created_at, after.id))
        return (await self._session.scalars(statement)).all()

    async def move(self, order_id: UUID, *, to: OrderStatus, among: Collection[OrderStatus]) -> bool:
        """Change the status of an order that has one of some statuses; False where there is none such.

        One statement judges and changes: of two at the same time, one finds the status that it wants.
        """
        statement = (
            update(Order)
            .where(Order.tenant_id == self._tenant_id, Order.id == order_id, Order.status.in_(among))
            .values(status=to)
            .returning(Order.id)
        )
        return await self._session.scalar(statement) is not None

    async def totals(self) -> Sequence[tuple[OrderStatus, int, int]]:
        """Return status, number of orders and sum of pieces, for each status that there is."""
        statement = (
            select(Order.status, func.count(), func.sum(Order.quantity))
            .where(Order.tenant_id == self._tenant_id)
            .group_by(Order.status)
        )
        return [(status, orders, pieces) for status, orders, pieces in await self._session.execute(statement)]

    def _select(self) -> Select[Order]:
        return select(Order).where(Order.tenant_id == self._tenant_id).options(joinedload(Order.product))
