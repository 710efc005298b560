"""The orders resource on a real Postgres."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.dialects import postgresql

from app.main import create_app
from app.orders.repository import select_newest
from app.pagination import Cursor
from tests.support import execute, serve, valid_settings

pytestmark = pytest.mark.services


async def place(client: httpx.AsyncClient, quantity: int = 1) -> dict[str, Any]:
    """Place an order and return its body."""
    response = await client.post("/v1/orders", json={"sku": "MUG-1", "quantity": quantity})
    assert response.status_code == 201
    return response.json()


async def walk(client: httpx.AsyncClient, limit: int) -> list[list[dict[str, Any]]]:
    """Return all pages."""
    pages: list[list[dict[str, Any]]] = []
    after: str | None = None
    while not pages or after:
        query = {"limit": limit} | ({"after": after} if after else {})
        page = (await client.get("/v1/orders", params=query)).json()
        pages.append(page["items"])
        assert len(pages) <= 20, "the pages do not end"
        after = page["next_after"]
    return pages


def insert_orders(count: int, *, created_at: str) -> str:
    """Write a statement that stores orders of 1, 2, … pieces, all created at an SQL expression of `n`."""
    values = f"gen_random_uuid(), 'MUG-1', n, {created_at}"
    columns = "id, sku, quantity, created_at"
    return f"INSERT INTO orders ({columns}) SELECT {values} FROM generate_series(1, {count}) AS n"  # noqa: S608


async def test_a_placed_order_can_be_read_where_the_answer_says(client: httpx.AsyncClient) -> None:
    placed = await client.post("/v1/orders", json={"sku": "MUG-1", "quantity": 3})
    assert placed.status_code == 201
    assert placed.json().items() >= {"sku": "MUG-1", "quantity": 3}.items()
    assert placed.json()["created_at"].endswith("Z")
    read = await client.get(placed.headers["Location"])
    assert (read.status_code, read.json()) == (200, placed.json())


async def test_an_unknown_order_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/v1/orders/{uuid4()}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "There is no order with this id."


async def test_an_empty_list_is_one_empty_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/orders")).json() == {"items": [], "next_after": None}


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 8, 100])
async def test_pages_have_every_order_once_the_newest_first(client: httpx.AsyncClient, limit: int) -> None:
    placed = [(await place(client, quantity))["id"] for quantity in range(1, 8)]
    pages = await walk(client, limit)
    assert [order["id"] for page in pages for order in page] == placed[::-1]
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


async def test_orders_of_the_same_moment_are_neither_skipped_nor_repeated(
    client: httpx.AsyncClient, database_url: str
) -> None:
    await execute(database_url, insert_orders(10, created_at="timestamptz '2026-11-21 12:00:00.123456+00'"))
    seen = [order["quantity"] for page in await walk(client, 3) for order in page]
    assert sorted(seen) == list(range(1, 11))


async def test_orders_placed_meanwhile_do_not_shift_the_pages(client: httpx.AsyncClient) -> None:
    placed = [(await place(client))["id"] for _ in range(4)]
    first = (await client.get("/v1/orders?limit=2")).json()
    await place(client)
    second = (await client.get("/v1/orders", params={"limit": 2, "after": first["next_after"]})).json()
    assert [order["id"] for order in first["items"] + second["items"]] == placed[::-1]
    assert second["next_after"] is None


async def test_a_late_page_costs_what_the_first_does(database_url: str) -> None:
    await execute(database_url, insert_orders(20_000, created_at="now() - n * interval '1 s'"))
    (moment,) = await execute(
        database_url, "ANALYZE orders", "SELECT created_at FROM orders ORDER BY created_at LIMIT 1 OFFSET 50"
    )
    statement = select_newest(after=Cursor(created_at=moment, id=UUID(int=0)), limit=20).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
    plan = "\n".join(await execute(database_url, f"EXPLAIN (ANALYZE, COSTS off, TIMING off) {statement}"))
    assert "Index Cond: (ROW(created_at, id) < ROW(" in plan
    assert "Rows Removed by Filter" not in plan
    assert "Sort" not in plan


async def test_an_order_survives_only_if_it_was_acknowledged(client: httpx.AsyncClient, database_url: str) -> None:
    await execute(database_url, "ALTER TABLE orders ADD CONSTRAINT no_sevens CHECK (quantity <> 7)")
    response = await client.post("/v1/orders", json={"sku": "MUG-1", "quantity": 7})
    assert response.status_code == 500
    assert "no_sevens" not in response.text
    kept = await place(client)
    assert await execute(database_url, "SELECT id::text FROM orders") == [kept["id"]]


async def test_requests_give_their_connection_back(database_url: str) -> None:
    """One connection must be enough for any number of requests, failed ones included."""
    settings = valid_settings(
        database_pool_overflow=0,
        database_pool_size=1,
        database_pool_timeout_seconds=5,
        database_url=database_url,
    )
    await execute(database_url, "ALTER TABLE orders ADD CONSTRAINT no_sevens CHECK (quantity <> 7)")
    async with serve(create_app(settings)) as client:
        bodies = [{"sku": "MUG-1", "quantity": quantity} for quantity in (1, 7) * 10]
        answers = await asyncio.gather(*(client.post("/v1/orders", json=body) for body in bodies))
        assert [answer.status_code for answer in answers] == [201, 500] * 10
        assert (await client.get("/v1/orders?limit=100")).json()["next_after"] is None


async def test_a_connection_that_the_server_ended_is_replaced_unnoticed(
    client: httpx.AsyncClient, direct_database_url: str
) -> None:
    await place(client)
    ended = await execute(
        direct_database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended == [True]
    await place(client)


async def test_a_failed_statement_is_logged_without_its_values(
    capsys: pytest.CaptureFixture[str], empty_database_url: str
) -> None:
    async with serve(create_app(valid_settings(database_url=empty_database_url))) as client:
        await client.post("/v1/orders", json={"sku": "SENTINEL-4711", "quantity": 1})
    out = capsys.readouterr().out
    assert "INSERT INTO orders" in out
    assert "SENTINEL-4711" not in out
