"""HTTP interface of orders, version 1.

Owns paths, statuses and headers. Deliberately decides nothing: each endpoint makes one call to the service.
"""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, HTTPException, Response

from app.errors import PROBLEM_RESPONSES
from app.orders.schemas import OrderCreate, OrderPage, OrderRead
from app.orders.service import Orders
from app.pagination import Page

router = APIRouter(prefix="/v1/orders", tags=["orders"], responses=PROBLEM_RESPONSES)


@router.post("", status_code=HTTPStatus.CREATED)
async def place_order(body: OrderCreate, orders: Orders, response: Response) -> OrderRead:
    """Place an order."""
    order = await orders.place(body)
    response.headers["Location"] = f"{router.prefix}/{order.id}"
    return order


@router.get("/{order_id}")
async def read_order(order_id: UUID, orders: Orders) -> OrderRead:
    """Return one order."""
    order = await orders.find(order_id)
    if order is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, detail="There is no order with this id.")
    return order


@router.get("")
async def list_orders(page: Page, orders: Orders) -> OrderPage:
    """Return a page of orders, the newest first."""
    return await orders.page(page)
