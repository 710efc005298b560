"""The orders resource on a real Postgres: who sees what, and what becomes of an order."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.auth.tokens import Role
from app.main import create_app
from tests.support import execute, insert_products, serve, signed_in, valid_settings

pytestmark = pytest.mark.services


async def place(client: httpx.AsyncClient, quantity: int = 1, **options: Any) -> dict[str, Any]:
    """Place an order and return its body."""
    response = await client.post("/v1/orders", json={"sku": "MUG-1", "quantity": quantity}, **options)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.fixture
def stranger(database_url: str) -> dict[str, str]:
    """Give the headers of an administrator of another tenant."""
    return signed_in(valid_settings(database_url=database_url), role=Role.ADMIN)


async def test_a_placed_order_can_be_read_where_the_answer_says(member: httpx.AsyncClient) -> None:
    placed = await member.post("/v1/orders", json={"sku": "MUG-1", "quantity": 3})
    assert placed.status_code == 201
    expected = {"sku": "MUG-1", "quantity": 3, "product_name": "Name of MUG-1", "status": "placed"}
    assert placed.json().items() >= expected.items()
    assert placed.json()["created_at"].endswith("Z")
    read = await member.get(placed.headers["Location"])
    assert (read.status_code, read.json()) == (200, placed.json())


async def test_an_order_knows_who_placed_it(
    client: httpx.AsyncClient, member: httpx.AsyncClient, database_url: str
) -> None:
    user = uuid4()
    order = await place(member, headers=signed_in(valid_settings(database_url=database_url), user_id=user))
    assert order["created_by"] == str(user)


async def test_a_product_that_does_not_exist_cannot_be_ordered(member: httpx.AsyncClient, database_url: str) -> None:
    response = await member.post("/v1/orders", json={"sku": "CUP-1", "quantity": 1})
    assert (response.status_code, response.json()["detail"]) == (422, "There is no product with this SKU.")
    assert await execute(database_url, "SELECT count(*) FROM orders") == [0]


async def test_an_unknown_order_is_a_problem(member: httpx.AsyncClient) -> None:
    response = await member.get(f"/v1/orders/{uuid4()}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "There is no order with this id."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/orders"),
        ("GET", "/v1/orders/summary"),
        ("GET", f"/v1/orders/{UUID(int=1)}"),
        ("POST", "/v1/orders"),
        ("POST", f"/v1/orders/{UUID(int=1)}/cancellation"),
        ("POST", f"/v1/orders/{UUID(int=1)}/shipment"),
        ("PUT", "/v1/products/MUG-1"),
    ],
)
@pytest.mark.control("auth-via-dependencies")
async def test_nobody_comes_in_without_a_token(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await client.request(method, path)).status_code == 401


@pytest.mark.control("auth-via-dependencies")
async def test_another_tenant_sees_and_changes_nothing(member: httpx.AsyncClient, stranger: dict[str, str]) -> None:
    order = await place(member)
    path = f"/v1/orders/{order['id']}"
    attempts = [("GET", path), ("POST", f"{path}/cancellation"), ("POST", f"{path}/shipment")]
    for method, each in attempts:
        response = await member.request(method, each, headers=stranger)
        assert (response.status_code, response.json()["detail"]) == (404, "There is no order with this id.")
    assert (await member.get("/v1/orders", headers=stranger)).json()["items"] == []
    assert (await member.get("/v1/orders/summary", headers=stranger)).json()["placed"] == {"orders": 0, "pieces": 0}
    assert (await member.get(path)).json() == order


async def test_colleagues_share_the_orders_of_their_tenant(member: httpx.AsyncClient, database_url: str) -> None:
    tenant_id, settings = uuid4(), valid_settings(database_url=database_url)
    order = await place(member, headers=signed_in(settings, tenant_id=tenant_id))
    listed = await member.get("/v1/orders", headers=signed_in(settings, tenant_id=tenant_id))
    assert listed.json()["items"] == [order]


async def test_a_cancelled_order_stays_cancelled(member: httpx.AsyncClient) -> None:
    order = await place(member)
    cancelled = await member.post(f"/v1/orders/{order['id']}/cancellation")
    assert (cancelled.status_code, cancelled.json()) == (200, {**order, "status": "cancelled"})
    again = await member.post(f"/v1/orders/{order['id']}/cancellation")
    assert (again.status_code, again.json()["status"]) == (409, 409)
    assert again.json()["detail"] == "The order is cancelled: it cannot become cancelled."


async def test_an_administrator_ships_and_nobody_cancels_what_is_shipped(
    member: httpx.AsyncClient, database_url: str
) -> None:
    tenant_id, settings = uuid4(), valid_settings(database_url=database_url)
    clerk = signed_in(settings, tenant_id=tenant_id)
    admin = signed_in(settings, tenant_id=tenant_id, role=Role.ADMIN)
    path = f"/v1/orders/{(await place(member, headers=clerk))['id']}"
    assert (await member.post(f"{path}/shipment", headers=clerk)).status_code == 403
    assert (await member.post(f"{path}/shipment", headers=admin)).json()["status"] == "shipped"
    assert (await member.post(f"{path}/cancellation", headers=clerk)).status_code == 409
    assert (await member.get(path, headers=clerk)).json()["status"] == "shipped"


async def test_of_many_cancellations_at_the_same_time_one_counts(member: httpx.AsyncClient) -> None:
    path = f"/v1/orders/{(await place(member))['id']}/cancellation"
    answers = await asyncio.gather(*(member.post(path) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]


async def test_an_order_survives_only_if_it_was_acknowledged(member: httpx.AsyncClient, database_url: str) -> None:
    await execute(database_url, "ALTER TABLE orders ADD CONSTRAINT no_sevens CHECK (quantity <> 7)")
    response = await member.post("/v1/orders", json={"sku": "MUG-1", "quantity": 7})
    assert response.status_code == 500
    assert "no_sevens" not in response.text
    kept = await place(member)
    assert await execute(database_url, "SELECT id::text FROM orders") == [kept["id"]]


async def test_a_failed_statement_is_logged_without_its_values(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """Neither the parameters, which the driver knows, nor the row, which Postgres quotes."""
    constraint = "ALTER TABLE orders ADD CONSTRAINT no_cups CHECK (sku <> 'SENTINEL-4711')"
    await execute(database_url, insert_products("SENTINEL-4711"), constraint)
    settings = valid_settings(database_url=database_url)
    async with serve(create_app(settings)) as client:
        body = {"sku": "SENTINEL-4711", "quantity": 1}
        assert (await client.post("/v1/orders", json=body, headers=signed_in(settings))).status_code == 500
    out = capsys.readouterr().out
    assert "INSERT INTO orders" in out
    assert "no_cups" in out
    assert "SENTINEL-4711" not in out
