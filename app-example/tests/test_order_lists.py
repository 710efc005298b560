"""Lists: every order once, at the same cost on every page."""

from typing import Any

import httpx
import pytest

from app.main import create_app
from tests.observed import Observed, observe
from tests.support import execute, insert_products, valid_settings
from tests.test_orders import place

pytestmark = pytest.mark.services

ROWS = 100_000


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


async def tenant_of(client: httpx.AsyncClient, database_url: str) -> str:
    """Return the tenant for whom a client acts, whose orders are then one."""
    order = await place(client)
    (tenant_id,) = await execute(database_url, f"SELECT tenant_id::text FROM orders WHERE id = '{order['id']}'")  # noqa: S608
    return tenant_id


def insert_orders(count: int, *, tenant_id: str, created_at: str, sku: str = "'MUG-1'") -> str:
    """Write a statement that stores orders of 1, 2, … pieces; `created_at` and `sku` are SQL expressions of `n`."""
    columns = "id, tenant_id, created_by, product_id, sku, quantity, created_at"
    values = f"gen_random_uuid(), '{tenant_id}', '{tenant_id}', products.id, products.sku, n, {created_at}"
    rows = f"generate_series(1, {count}) AS n JOIN products ON products.sku = {sku}"
    return f"INSERT INTO orders ({columns}) SELECT {values} FROM {rows}"  # noqa: S608


async def test_an_empty_list_is_one_empty_page(member: httpx.AsyncClient) -> None:
    assert (await member.get("/v1/orders")).json() == {"items": [], "next_after": None}


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 8, 100])
async def test_pages_have_every_order_once_the_newest_first(member: httpx.AsyncClient, limit: int) -> None:
    placed = [(await place(member, quantity))["id"] for quantity in range(1, 8)]
    pages = await walk(member, limit)
    assert [order["id"] for page in pages for order in page] == placed[::-1]
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


async def test_orders_of_the_same_moment_are_neither_skipped_nor_repeated(
    member: httpx.AsyncClient, database_url: str
) -> None:
    moment = "timestamptz '2026-11-21 12:00:00.123456+00'"
    tenant_id = await tenant_of(member, database_url)
    await execute(database_url, "DELETE FROM orders", insert_orders(10, tenant_id=tenant_id, created_at=moment))
    seen = [order["quantity"] for page in await walk(member, 3) for order in page]
    assert sorted(seen) == list(range(1, 11))


@pytest.mark.control("cursor-pagination")
async def test_orders_placed_meanwhile_do_not_shift_the_pages(member: httpx.AsyncClient) -> None:
    placed = [(await place(member))["id"] for _ in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await member.get("/v1/orders", params=query)).json()
        seen += [order["id"] for order in page["items"]]
        await place(member)
        if page["next_after"] is None:
            break
        query["after"] = page["next_after"]
    assert seen == placed[::-1]


@pytest.mark.control("cursor-pagination")
async def test_the_last_page_of_a_large_table_reads_as_little_as_the_first(
    member: httpx.AsyncClient, database_url: str
) -> None:
    mine, other = await tenant_of(member, database_url), "11111111-1111-1111-1111-111111111111"
    created_at = "now() - n * interval '1 s'"
    await execute(
        database_url,
        insert_orders(ROWS // 2, tenant_id=mine, created_at=created_at),
        insert_orders(ROWS // 2, tenant_id=other, created_at=created_at),
        "ANALYZE orders",
    )
    (late,) = await execute(
        database_url,
        "SELECT to_hex((extract(epoch FROM created_at) * 1000000)::bigint) || '-' || replace(id::text, '-', '') "
        "FROM orders WHERE tenant_id <> '11111111-1111-1111-1111-111111111111' ORDER BY created_at, id "
        "OFFSET 10 LIMIT 1",
    )
    with observe() as first:
        page = (await member.get("/v1/orders?limit=20")).json()
    with observe() as last:
        end = (await member.get("/v1/orders", params={"limit": 20, "after": late})).json()
    assert (len(page["items"]), len(end["items"]), end["next_after"]) == (20, 10, None)
    read_first, read_last = await rows_read(database_url, first), await rows_read(database_url, last)
    assert 20 < read_first < 100
    assert read_last <= read_first


async def rows_read(database_url: str, seen: Observed) -> int:
    """Return how many rows Postgres touches for the one statement that was seen."""
    ((statement, parameters),) = zip(seen.statements[:-1], seen.parameters, strict=True)
    for number, value in reversed(list(enumerate(parameters, start=1))):
        statement = statement.replace(f"${number}::", f"'{value}'::")
    (plan,) = await execute(database_url, f"EXPLAIN (ANALYZE, COSTS off, FORMAT JSON) {statement}")
    return scanned(plan[0]["Plan"])


def scanned(node: dict[str, Any]) -> int:
    """Add up the rows that the scans of a plan gave or dropped."""
    rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return (rows if "Scan" in node["Node Type"] else 0) + sum(map(scanned, node.get("Plans", [])))


@pytest.mark.control("cursor-pagination")
def test_no_list_takes_an_offset_or_gives_an_unbounded_page() -> None:
    paths = create_app(valid_settings()).openapi()["paths"]
    lists = {path: operations["get"] for path, operations in paths.items() if is_list(operations)}
    assert {"/v1/orders", "/v1/products"} <= set(lists)
    for path, operation in lists.items():
        parameters = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"}
        assert not set(parameters) & {"offset", "page", "skip"}, path
        assert parameters["limit"]["maximum"] <= 100, path
        assert "after" in parameters, path


def is_list(operations: dict[str, Any]) -> bool:
    """Tell whether a path answers with a page."""
    schema = operations.get("get", {"responses": {}})["responses"].get("200", {}).get("content", {})
    return schema.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("Page")


@pytest.mark.control("no-n-plus-one")
@pytest.mark.parametrize("path", ["/v1/orders?limit=100", "/v1/products?limit=100"])
async def test_a_long_list_takes_as_many_statements_as_a_short_one(
    member: httpx.AsyncClient, database_url: str, path: str
) -> None:
    """Each order is of another product: a name fetched order by order would show."""
    skus = [f"CUP-{number}" for number in range(1, 61)]
    tenant_id = await tenant_of(member, database_url)
    cups = insert_orders(60, tenant_id=tenant_id, created_at="now() - n * interval '1 s'", sku="'CUP-' || n")
    counts: list[tuple[int, int]] = []
    for statements in ((), (insert_products(*skus), cups)):
        await execute(database_url, *statements)
        # Later pages are never cached.
        with observe() as seen:
            items = (await member.get(path, params={"limit": 100, "after": "f" * 13 + "-" + "0" * 32})).json()["items"]
        counts.append((len(items), len(seen.statements)))
    assert [items for items, _ in counts] == [1, 61]
    assert counts[0][1] == counts[1][1]
