"""The catalogue on a real Postgres: everybody reads, administrators write, shared caches keep."""

import httpx
import pytest

from app.auth.tokens import Role
from tests.support import execute, insert_products, signed_in, valid_settings

pytestmark = pytest.mark.services

MUG = {"name": "Mug", "price_cents": 1200}


@pytest.fixture
def admin(database_url: str) -> dict[str, str]:
    """Give the headers of an administrator."""
    return signed_in(valid_settings(database_url=database_url), role=Role.ADMIN)


async def test_an_administrator_adds_and_changes_a_product(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    added = await client.put("/v1/products/MUG-1", json=MUG, headers=admin)
    assert (added.status_code, added.json()["sku"]) == (201, "MUG-1")
    changed = await client.put("/v1/products/MUG-1", json={**MUG, "price_cents": 900}, headers=admin)
    assert (changed.status_code, changed.json()["price_cents"]) == (200, 900)
    assert (changed.json()["id"], changed.json()["created_at"]) == (added.json()["id"], added.json()["created_at"])
    assert changed.json()["updated_at"] > added.json()["updated_at"]
    assert (await client.get("/v1/products/MUG-1")).json() == changed.json()


@pytest.mark.control("auth-via-dependencies")
async def test_a_member_cannot_write_a_product(member: httpx.AsyncClient, database_url: str) -> None:
    assert (await member.put("/v1/products/MUG-1", json=MUG)).status_code == 403
    assert await execute(database_url, "SELECT name FROM products") == ["Name of MUG-1"]


@pytest.mark.parametrize(
    "body",
    [{**MUG, "name": ""}, {**MUG, "name": "two\nlines"}, {**MUG, "name": "nul\x00"}, {**MUG, "price_cents": -1}, {}],
)
async def test_an_invalid_product_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], body: dict[str, object]
) -> None:
    assert (await client.put("/v1/products/MUG-1", json=body, headers=admin)).status_code == 422


async def test_a_product_that_does_not_exist_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/products/MUG-1")
    assert (response.status_code, response.json()["detail"]) == (404, "There is no product with this SKU.")
    assert "public" not in response.headers.get("Cache-Control", "")


@pytest.mark.control("cursor-pagination")
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_have_every_product_once(client: httpx.AsyncClient, database_url: str, limit: int) -> None:
    """The first page comes out of a longer one that is cached, the others do not."""
    skus = [f"MUG-{number}" for number in range(1, 104)]
    await execute(database_url, insert_products(*skus))
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": limit}
    while len(seen) < len(skus):
        page = (await client.get("/v1/products", params=query)).json()
        assert len(page["items"]) == min(limit, len(skus) - len(seen))
        seen += [product["sku"] for product in page["items"]]
        assert (page["next_after"] is None) is (len(seen) == len(skus))
        query["after"] = page["next_after"]
    assert sorted(seen) == sorted(skus)


@pytest.mark.control("cache-control-headers")
@pytest.mark.parametrize("path", ["/v1/products", "/v1/products/MUG-1"])
async def test_shared_caches_may_keep_an_answer_and_ask_whether_it_still_holds(
    member: httpx.AsyncClient, admin: dict[str, str], path: str
) -> None:
    member.headers.pop("Authorization")
    first = await member.get(path)
    directives = first.headers["Cache-Control"].split(", ")
    assert {"public", "max-age=60"} <= set(directives)
    etag = first.headers["ETag"]
    for named in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = await member.get(path, headers={"If-None-Match": named})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
        assert same.headers["Cache-Control"] == first.headers["Cache-Control"]
    await member.put("/v1/products/MUG-1", json=MUG, headers=admin)
    changed = await member.get(path, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)
