"""Requests sent again, on a real Postgres: one effect, one answer."""

import asyncio
from typing import Any

import httpx
import pytest

from app import idempotency
from tests.observed import observe
from tests.support import execute, held_lock, signed_in, valid_settings
from tests.test_orders import place

pytestmark = pytest.mark.services

KEY = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
BODY = {"sku": "MUG-1", "quantity": 2}
SLOW_ORDERS = (
    "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'",
    "CREATE TRIGGER pause BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pause()",
)


async def order(client: httpx.AsyncClient, **overrides: Any) -> httpx.Response:
    """Place an order under the key."""
    options: dict[str, Any] = {"json": BODY, "headers": KEY, **overrides}
    return await client.post("/v1/orders", **options)


async def test_the_same_request_gets_the_same_answer_and_has_one_effect(
    member: httpx.AsyncClient, database_url: str
) -> None:
    first, second = await order(member), await order(member)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json(), first.headers["Location"]) == (second.json(), second.headers["Location"])
    assert await execute(database_url, "SELECT quantity FROM orders") == [2]


async def test_the_answer_stays_what_it_was_when_the_order_has_changed(member: httpx.AsyncClient) -> None:
    first = await order(member)
    await member.post(f"{first.headers['Location']}/cancellation")
    assert (await order(member)).json()["status"] == "placed"


async def test_quotes_around_the_key_make_no_difference(member: httpx.AsyncClient) -> None:
    bare = {"Idempotency-Key": KEY["Idempotency-Key"].strip('"')}
    assert (await order(member)).json() == (await order(member, headers=bare)).json()


@pytest.mark.parametrize("key", ["short", "x" * 65, "white space", '"unbalanced', "", "kéy-12345678".encode()])
async def test_a_malformed_key_is_refused(member: httpx.AsyncClient, key: str | bytes, database_url: str) -> None:
    response = await order(member, headers=[(b"Idempotency-Key", key)])
    assert response.status_code == 422
    assert set(response.json()["errors"]) == {"header.Idempotency-Key"}
    assert await execute(database_url, "SELECT count(*) FROM orders") == [0]


async def test_a_key_used_for_another_content_is_refused(member: httpx.AsyncClient, database_url: str) -> None:
    await order(member)
    other = await order(member, json={**BODY, "quantity": 3})
    assert other.status_code == 422
    assert other.json()["detail"] == "This Idempotency-Key was used for another request."
    assert await execute(database_url, "SELECT quantity FROM orders") == [2]


async def test_keys_of_users_and_operations_are_their_own(member: httpx.AsyncClient, database_url: str) -> None:
    mine = await order(member)
    theirs = await order(member, headers={**signed_in(valid_settings(database_url=database_url)), **KEY})
    assert mine.json()["id"] != theirs.json()["id"]
    cancelled = await member.post(f"{mine.headers['Location']}/cancellation", headers=KEY)
    again = await member.post(f"{mine.headers['Location']}/cancellation", headers=KEY)
    assert (cancelled.status_code, again.status_code) == (200, 200)
    assert cancelled.json() == again.json() == {**mine.json(), "status": "cancelled"}


async def test_duplicates_at_the_same_time_wait_and_get_the_one_answer(
    member: httpx.AsyncClient, database_url: str
) -> None:
    answers = await asyncio.gather(*(order(member) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await execute(database_url, "SELECT quantity FROM orders") == [2]


async def test_a_duplicate_of_a_request_that_takes_long_is_told_to_come_back(
    member: httpx.AsyncClient, direct_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_MILLISECONDS", 20_000)
    await execute(direct_database_url, *SLOW_ORDERS)
    async with held_lock(direct_database_url):
        first = asyncio.create_task(order(member))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
        async with asyncio.timeout(20):
            while await execute(direct_database_url, waiting) != [1]:
                await asyncio.sleep(0.05)
        monkeypatch.setattr(idempotency, "WAIT_MILLISECONDS", 50)
        second = await order(member)
        assert not first.done()
    assert (second.status_code, second.headers["Retry-After"]) == (409, "1")
    assert (await first).status_code == 201
    assert (await order(member)).json() == (await first).json()


async def test_what_failed_may_be_tried_again(member: httpx.AsyncClient, database_url: str) -> None:
    missing = {**BODY, "sku": "CUP-1"}
    assert (await order(member, json=missing)).status_code == 422
    await execute(database_url, "UPDATE products SET sku = 'CUP-1'")
    assert (await order(member, json=missing)).status_code == 201


async def test_effect_and_record_are_stored_together_or_not_at_all(
    member: httpx.AsyncClient, database_url: str
) -> None:
    """The record's own failure must take the order with it: an order without a record would be placed again."""
    await execute(
        database_url, "ALTER TABLE idempotency_records ADD CONSTRAINT no_answers CHECK (answer IS NULL) NOT VALID"
    )
    assert (await order(member)).status_code == 500
    assert await execute(database_url, "SELECT count(*) FROM orders") == [0]
    await execute(database_url, "ALTER TABLE idempotency_records DROP CONSTRAINT no_answers")
    with observe() as seen:
        assert (await order(member)).status_code == 201
    assert seen.statements.count("COMMIT") == 1


async def test_an_expired_key_counts_no_more_and_goes_away(member: httpx.AsyncClient, database_url: str) -> None:
    first = await order(member)
    rows = "SELECT tenant_id, user_id, operation, 'old-' || n, fingerprint, answer, now() - interval '1 s'"
    await execute(
        database_url,
        "UPDATE idempotency_records SET expires_at = now() - interval '1 s'",
        f"INSERT INTO idempotency_records {rows} FROM idempotency_records, generate_series(1, 15) AS n",
    )
    second = await order(member)
    assert (second.status_code, second.json()["id"] != first.json()["id"]) == (201, True)
    assert await execute(database_url, "SELECT count(*) FROM idempotency_records") == [6]
    assert (await order(member)).json() == second.json()


async def test_without_a_key_every_request_counts(member: httpx.AsyncClient, database_url: str) -> None:
    assert (await place(member))["id"] != (await place(member))["id"]
    assert await execute(database_url, "SELECT count(*) FROM idempotency_records") == [0]
