"""Statements of the orders resource.

Owns all SQL about orders. Deliberately neither commits nor knows about HTTP.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.orders.models import Order
from app.pagination import Cursor


class OrderRepository:
    """Orders in one session."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in a session that the caller opens, commits and closes."""
        self._session = session

    async def add(self, order: Order) -> None:
        """Store a new order and load what Postgres filled in."""
        self._session.add(order)
        await self._session.flush()

    async def get(self, order_id: UUID) -> Order | None:
        """Return an order, or None where there is no such id."""
        return await self._session.get(Order, order_id)

    async def newest(self, *, after: Cursor | None, limit: int) -> Sequence[Order]:
        """Return at most `limit` orders, the newest first, from behind the cursor on."""
        return (await self._session.scalars(select_newest(after=after, limit=limit))).all()


def select_newest(*, after: Cursor | None, limit: int) -> Select[Order]:
    """Build the statement of a page; the index on time and id gives its rows without a sort."""
    position = tuple_(Order.created_at, Order.id)
    statement = select(Order).order_by(Order.created_at.desc(), Order.id.desc()).limit(limit)
    return statement if after is None else statement.where(position < (after.created_at, after.id))
