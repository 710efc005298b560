"""Exports as clients see them; a service without Redis does them in its own process."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from app.exports.service import MAX_OPEN
from app.queue import JobQueue
from tests.support import execute, signed_in
from tests.workers import Office, office

pytestmark = pytest.mark.services


@pytest.fixture
async def alone(database_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service without Redis, as a newcomer starts it."""
    async with office(database_url, None, tmp_path) as service:
        yield service


@pytest.fixture
async def unserved(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service with Redis and without a worker."""
    async with office(database_url, redis_url, tmp_path) as service:
        yield service


async def test_an_export_has_every_order_of_the_tenant_once(alone: Office) -> None:
    await alone.store_orders(1203)
    await alone.store_orders(5, tenant_id=uuid4())
    path = await alone.request()
    export = await alone.final(path)
    assert (export["status"], export["rows"], export["failure"]) == ("done", 1203, None)
    head, *rows = await alone.content(path)
    assert head == "id,sku,quantity,created_at"
    assert sorted(int(row.split(",")[2]) for row in rows) == list(range(1, 1204))
    assert export["size_bytes"] == sum(len(line) + 2 for line in (head, *rows))


async def test_orders_of_the_same_moment_are_neither_skipped_nor_repeated(alone: Office) -> None:
    await alone.store_orders(1201)
    await execute(alone.database_url, "UPDATE orders SET created_at = timestamptz '2026-11-21 12:00:00+00'")
    path = await alone.request()
    await alone.final(path)
    ids = [row.split(",")[0] for row in (await alone.content(path))[1:]]
    assert len(ids) == len(set(ids)) == 1201


async def test_an_export_of_nothing_is_a_file_with_a_head(alone: Office) -> None:
    path = await alone.request()
    await alone.final(path)
    assert await alone.content(path) == ["id,sku,quantity,created_at"]


async def test_a_formula_does_not_get_into_the_file(alone: Office) -> None:
    await alone.store_orders(1, sku="=HYPERLINK(1)")
    path = await alone.request()
    await alone.final(path)
    assert "'=HYPERLINK(1)" in (await alone.content(path))[1]


async def test_the_file_is_a_download(alone: Office) -> None:
    path = await alone.request()
    export = await alone.final(path)
    answer = await alone.client.get(f"{path}/content", headers=alone.headers)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="orders-{export["id"]}.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_another_tenant_sees_nothing(alone: Office) -> None:
    path = await alone.request()
    await alone.final(path)
    stranger = signed_in(alone.settings)
    assert (await alone.client.get(path, headers=stranger)).status_code == 404
    assert (await alone.client.get(f"{path}/content", headers=stranger)).status_code == 404
    assert (await alone.client.get(path)).status_code == 401


@pytest.mark.control("long-work-in-queue")
async def test_a_request_is_answered_before_anybody_works(unserved: Office) -> None:
    path = await unserved.request()
    waiting = await unserved.client.get(path, headers=unserved.headers)
    assert (waiting.json()["status"], waiting.headers["Retry-After"]) == ("queued", "2")
    assert (await unserved.client.get(f"{path}/content", headers=unserved.headers)).status_code == 409


async def test_a_tenant_waits_for_a_bounded_number_of_exports(unserved: Office) -> None:
    for _ in range(MAX_OPEN):
        await unserved.request()
    refused = await unserved.client.post("/v1/exports", headers=unserved.headers)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
    other = await unserved.client.post("/v1/exports", headers=signed_in(unserved.settings))
    assert other.status_code == 202


@pytest.mark.control("long-work-in-queue")
async def test_a_request_succeeds_while_redis_is_away(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, "redis://127.0.0.1:1/0", tmp_path) as service:
        assert (await service.status(await service.request()))["status"] == "queued"


async def test_a_queue_that_fails_in_the_background_harms_no_answer(
    unserved: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is committed by then: it is what makes the work happen."""

    async def put(_queue: JobQueue, *_arguments: object) -> bool:
        assert await execute(unserved.database_url, "SELECT status FROM exports") == ["queued"]
        return False

    monkeypatch.setattr(JobQueue, "put", put)
    assert await unserved.request()
