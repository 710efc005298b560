"""A database that drops its connections: what clients notice."""

import asyncio

import httpx
import pytest

from tests.support import execute, held_lock
from tests.test_orders import place

pytestmark = pytest.mark.services

CONNECTIONS = 5
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.mark.control("pool-pre-ping-and-recycle")
async def test_connections_that_the_server_ended_are_replaced_unnoticed(
    member: httpx.AsyncClient, direct_database_url: str
) -> None:
    """Ended from outside, as a failover does; through PgBouncer these are its connections, and ours outlive them."""
    for _ in range(3):
        await asyncio.gather(*(place(member) for _ in range(CONNECTIONS)))
        ended = await execute(direct_database_url, f"SELECT pg_terminate_backend(pid) {OTHERS}")
        assert ended
        assert all(ended)
        await place(member)
        await asyncio.gather(*(place(member) for _ in range(CONNECTIONS)))


@pytest.mark.control("pool-pre-ping-and-recycle")
async def test_a_write_that_lost_its_connection_is_undone_and_can_be_sent_again(
    member: httpx.AsyncClient, direct_database_url: str
) -> None:
    """What nothing can hide: whether it was stored is not known here; the key makes sending it again safe."""
    await execute(
        direct_database_url,
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'",
        "CREATE TRIGGER pause BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pause()",
    )
    headers = {"Idempotency-Key": "lost-connection-1"}
    body = {"sku": "MUG-1", "quantity": 1}
    await place(member)
    async with held_lock(direct_database_url):
        first = asyncio.create_task(member.post("/v1/orders", json=body, headers=headers))
        waiting = f"SELECT pg_terminate_backend(pid) {OTHERS} AND wait_event = 'advisory'"
        async with asyncio.timeout(20):
            while not await execute(direct_database_url, waiting):
                await asyncio.sleep(0.05)
        assert (await first).status_code >= 500
    again = await member.post("/v1/orders", json=body, headers=headers)
    assert again.status_code == 201
    listed = (await member.get("/v1/orders")).json()["items"]
    assert [order["id"] for order in listed].count(again.json()["id"]) == 1
    assert len(listed) == 2
