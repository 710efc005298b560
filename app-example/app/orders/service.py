"""What one can do with orders.

Owns the rules and where a transaction begins and ends. Deliberately knows neither HTTP nor SQL.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Session
from app.orders.models import Order
from app.orders.repository import OrderRepository
from app.orders.schemas import OrderCreate, OrderPage, OrderRead
from app.pagination import Cursor, PageQuery


class OrderService:
    """Orders, for the length of one request."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in the session of the request."""
        self._session = session
        self._orders = OrderRepository(session)

    async def place(self, request: OrderCreate) -> OrderRead:
        """Store an order; committed when this returns."""
        order = Order(sku=request.sku, quantity=request.quantity)
        async with self._session.begin():
            await self._orders.add(order)
        return OrderRead.model_validate(order)

    async def find(self, order_id: UUID) -> OrderRead | None:
        """Return an order, or None where there is no such id."""
        order = await self._orders.get(order_id)
        return None if order is None else OrderRead.model_validate(order)

    async def page(self, query: PageQuery) -> OrderPage:
        """Return one page of orders, the newest first."""
        # One more than asked for tells whether there is a next page.
        orders = await self._orders.newest(after=query.after, limit=query.limit + 1)
        shown = orders[: query.limit]
        more = len(orders) > len(shown)
        return OrderPage(
            items=[OrderRead.model_validate(order) for order in shown],
            next_after=Cursor(created_at=shown[-1].created_at, id=shown[-1].id).encode() if more else None,
        )


def order_service(session: Session) -> OrderService:
    """Provide the service to an endpoint."""
    return OrderService(session)


Orders = Annotated[OrderService, Depends(order_service)]
