"""HTTP interface of orders, version 1.

Owns paths, statuses and headers. Deliberately decides nothing: each endpoint makes one call to the service.
"""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Response

from app.auth.identity import current_admin
from app.errors import PROBLEM_RESPONSES
from app.idempotency import CurrentIdempotencyKey, IdempotencyKey
from app.orders.models import OrderStatus
from app.orders.schemas import OrderCreate, OrderPage, OrderRead, OrderSummary
from app.orders.service import Orders, OrderService, OrderStatusError, UnknownOrderError, UnknownProductError
from app.pagination import Page

router = APIRouter(prefix="/v1/orders", tags=["orders"], responses=PROBLEM_RESPONSES)

_UNKNOWN = "There is no order with this id."


@router.post("", status_code=HTTPStatus.CREATED)
async def place_order(body: OrderCreate, orders: Orders, key: CurrentIdempotencyKey, response: Response) -> OrderRead:
    """Place an order."""
    try:
        order = await orders.place(body, key)
    except UnknownProductError:
        detail = "There is no product with this SKU."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail) from None
    response.headers["Location"] = f"{router.prefix}/{order.id}"
    return order


@router.get("")
async def list_orders(page: Page, orders: Orders) -> OrderPage:
    """Return a page of orders, the newest first."""
    return await orders.page(page)


@router.get("/summary")
async def summarize_orders(orders: Orders) -> OrderSummary:
    """Return all orders in figures."""
    return await orders.summary()


@router.get("/{order_id}")
async def read_order(order_id: UUID, orders: Orders) -> OrderRead:
    """Return one order."""
    order = await orders.find(order_id)
    if order is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail=_UNKNOWN)
    return order


@router.post("/{order_id}/cancellation")
async def cancel_order(order_id: UUID, orders: Orders, key: CurrentIdempotencyKey) -> OrderRead:
    """Cancel an order that is not shipped."""
    return await _move(orders, order_id, OrderStatus.CANCELLED, key)


@router.post("/{order_id}/shipment", dependencies=[Depends(current_admin)])
async def ship_order(order_id: UUID, orders: Orders, key: CurrentIdempotencyKey) -> OrderRead:
    """Say that an order is on its way."""
    return await _move(orders, order_id, OrderStatus.SHIPPED, key)


async def _move(orders: OrderService, order_id: UUID, to: OrderStatus, key: IdempotencyKey | None) -> OrderRead:
    try:
        return await orders.move(order_id, to, key)
    except UnknownOrderError:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail=_UNKNOWN) from None
    except OrderStatusError as exc:
        raise HTTPException(HTTPStatus.CONFLICT, detail=str(exc)) from None
