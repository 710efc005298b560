"""What one can do with orders.

Owns the rules, where a transaction begins and ends, and what is cached. Deliberately knows neither HTTP nor SQL.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.identity import CurrentIdentity
from app.auth.tokens import Identity
from app.cache import Cache, CurrentCache, Entry
from app.database import Session
from app.idempotency import IdempotencyKey, once
from app.orders.models import Order, OrderStatus
from app.orders.repository import OrderRepository
from app.orders.schemas import OrderCreate, OrderPage, OrderRead, OrderSummary, Total
from app.pagination import PageQuery, cut
from app.products.repository import ProductRepository

SUMMARY = Entry("order-summary", OrderSummary, life_seconds=60)
BEFORE = {
    OrderStatus.SHIPPED: frozenset({OrderStatus.PLACED}),
    OrderStatus.CANCELLED: frozenset({OrderStatus.PLACED}),
}
"""From which statuses an order comes to another one; nothing leads back."""


class UnknownProductError(Exception):
    """What is to be ordered does not exist."""


class UnknownOrderError(Exception):
    """The tenant has no such order."""


class OrderStatusError(Exception):
    """The order is past the point where that is possible."""


class OrderService:
    """Orders of the caller's tenant, for the length of one request."""

    def __init__(self, session: AsyncSession, identity: Identity, cache: Cache) -> None:
        """Work in the session of the request, on behalf of who calls."""
        self._session = session
        self._identity = identity
        self._cache = cache
        self._orders = OrderRepository(session, identity.tenant_id)

    async def place(self, request: OrderCreate, key: IdempotencyKey | None) -> OrderRead:
        """Store an order, once per key; committed when this returns.

        Raises:
            UnknownProductError: There is no product with this SKU.
            IdempotencyMismatchError: The key was used for another order.
            IdempotencyBusyError: The first request with the key is still at work.
        """

        async def store() -> OrderRead:
            product = await ProductRepository(self._session).get(request.sku)
            if product is None:
                raise UnknownProductError
            created_by = self._identity.user_id
            order = Order(sku=request.sku, quantity=request.quantity, product=product, created_by=created_by)
            await self._orders.add(order)
            return OrderRead.model_validate(order)

        async with self._session.begin():
            order = await once(self._session, key, request, OrderRead, store)
        await self._forget()
        return order

    async def move(self, order_id: UUID, to: OrderStatus, key: IdempotencyKey | None) -> OrderRead:
        """Bring an order to another status, once per key; committed when this returns.

        Raises:
            UnknownOrderError: The tenant has no such order.
            OrderStatusError: Nothing leads there from where the order is.
            IdempotencyBusyError: The first request with the key is still at work.
        """

        async def change() -> OrderRead:
            moved = await self._orders.move(order_id, to=to, among=BEFORE[to])
            order = await self._orders.get(order_id)
            if order is None:
                raise UnknownOrderError
            if not moved:
                raise OrderStatusError(f"The order is {order.status}: it cannot become {to}.")
            return OrderRead.model_validate(order)

        async with self._session.begin():
            order = await once(self._session, key, None, OrderRead, change)
        await self._forget()
        return order

    async def find(self, order_id: UUID) -> OrderRead | None:
        """Return an order, or None where the tenant has no such order."""
        order = await self._orders.get(order_id)
        return None if order is None else OrderRead.model_validate(order)

    async def page(self, query: PageQuery) -> OrderPage:
        """Return one page of orders, the newest first."""
        orders = await self._orders.newest(after=query.after, limit=query.limit + 1)
        shown, next_after = cut([OrderRead.model_validate(order) for order in orders], query.limit)
        return OrderPage(items=shown, next_after=next_after)

    async def summary(self) -> OrderSummary:
        """Return the tenant's orders in figures; every order is counted, so the answer is kept for a while."""

        async def load() -> OrderSummary:
            # A transaction of its own: the connection goes back before the cache is filled.
            async with self._session.begin():
                totals = await self._orders.totals()
            found = {status: Total(orders=orders, pieces=pieces) for status, orders, pieces in totals}
            return OrderSummary(**{status.value: found.get(status, Total()) for status in OrderStatus})

        return await self._cache.get_or_load(SUMMARY.of_tenant(self._identity.tenant_id), load)

    async def _forget(self) -> None:
        await self._cache.forget(SUMMARY.of_tenant(self._identity.tenant_id))


async def order_service(session: Session, identity: CurrentIdentity, cache: CurrentCache) -> OrderService:
    """Provide the service to an endpoint."""
    return OrderService(session, identity, cache)


Orders = Annotated[OrderService, Depends(order_service)]
