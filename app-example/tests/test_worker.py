"""The worker process: an export takes effect exactly once, whatever dies meanwhile."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest
from redis.asyncio import Redis

from app.queue import JobQueue, open_broker
from development import services
from tests.support import execute, listening
from tests.workers import SHORT_LEASE_SECONDS, Office, locked, office, running, until, worker

pytestmark = [pytest.mark.services, pytest.mark.control("long-work-in-queue")]


@pytest.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service with Redis, whose workers the test starts."""
    async with office(database_url, redis_url, tmp_path) as service:
        yield service


async def effects(desk: Office) -> list[tuple[str, int]]:
    """Return status and number of rows of all exports."""
    found = await execute(desk.database_url, "SELECT json_build_array(status, rows) FROM exports")
    return [(status, rows) for status, rows in found]


async def test_a_worker_that_is_killed_before_it_has_written_is_replaced(
    desk: Office, direct_database_url: str, tmp_path: Path
) -> None:
    await desk.store_orders(700)
    with worker(desk, tmp_path / "first", lease_seconds=SHORT_LEASE_SECONDS) as first:
        async with locked(direct_database_url, "orders", "ACCESS EXCLUSIVE"):
            path = await desk.request()
            await running(desk, path)
            first.kill()
    with worker(desk, tmp_path / "second") as second:
        assert (await desk.final(path))["rows"] == 700
        assert second.terminate() == 0
        assert second.outcomes() == ["done"]
    assert await effects(desk) == [("done", 700)]
    assert len(await desk.content(path)) == 701


async def test_a_worker_that_is_killed_after_it_has_written_has_no_effect(
    desk: Office, direct_database_url: str, tmp_path: Path
) -> None:
    """The object of the dead attempt is there, and is nobody's."""
    await desk.store_orders(700)

    async def is_written() -> bool:
        return len(desk.objects()) == 1

    with worker(desk, tmp_path / "first", lease_seconds=SHORT_LEASE_SECONDS) as first:
        async with locked(direct_database_url, "orders", "ACCESS EXCLUSIVE") as lock:
            path = await desk.request()
            await running(desk, path)
            async with locked(direct_database_url, "exports", "SHARE"):
                await lock.rollback()
                await until(is_written)
                first.kill()
    (abandoned,) = desk.objects()
    with worker(desk, tmp_path / "second"):
        assert (await desk.final(path))["rows"] == 700
    assert await effects(desk) == [("done", 700)]
    (lease,) = await execute(desk.database_url, "SELECT lease_id::text FROM exports")
    assert {each.name for each in desk.objects()} == {abandoned.name, lease}
    assert abandoned.name != lease


async def test_two_workers_do_each_export_once(desk: Office, tmp_path: Path) -> None:
    await desk.store_orders(600)
    with worker(desk, tmp_path / "first") as first, worker(desk, tmp_path / "second") as second:
        paths = [await desk.request() for _ in range(5)]
        for path in paths:
            assert (await desk.final(path))["status"] == "done"
        statuses = [each.terminate() for each in (first, second)]
    assert statuses == [0, 0]
    assert sorted(first.outcomes() + second.outcomes()) == ["done"] * 5
    assert len(desk.objects()) == 5


async def test_a_message_that_comes_again_changes_nothing(desk: Office, redis_url: str, tmp_path: Path) -> None:
    with worker(desk, tmp_path / "log") as only:
        path = await desk.request()
        done = await desk.final(path)
        async with Redis.from_url(redis_url) as redis, open_broker(desk.settings) as broker:
            for _ in range(3):
                assert await JobQueue(broker).put("exports.run", UUID(done["id"]))

            async def all_acknowledged() -> bool:
                (group,) = await redis.xinfo_groups("jobs")
                return group["lag"] == 0 and group["pending"] == 0

            await until(all_acknowledged)
        only.terminate()
    assert only.outcomes() == ["done"]
    assert await desk.status(path) == done


async def test_work_is_done_though_redis_lost_everything(desk: Office, redis_url: str, tmp_path: Path) -> None:
    path = await desk.request()
    async with Redis.from_url(redis_url) as redis:
        assert await redis.xlen("jobs") == 1
        await redis.flushall()
    with worker(desk, tmp_path / "log") as only:
        assert (await desk.final(path))["status"] == "done"
        async with Redis.from_url(redis_url) as redis:
            # Stream and group vanish under a worker that listens.
            await redis.flushall()
        assert (await desk.final(await desk.request()))["status"] == "done"
        assert only.terminate() == 0


async def test_work_is_done_though_redis_was_away(direct_database_url: str, tmp_path: Path) -> None:
    port = services.free_port()
    async with office(direct_database_url, f"redis://127.0.0.1:{port}/0", tmp_path) as desk:
        path = await desk.request()
        with worker(desk, tmp_path / "log") as only:
            only.wait_for("the queue is away")
            assert (await desk.status(path))["status"] == "queued"
            with services.redis(port):
                assert (await desk.final(path))["status"] == "done"
            only.wait_for("the queue is away")
            assert only.terminate() == 0


async def test_a_failure_is_tried_again_and_then_shown_without_internals(desk: Office, tmp_path: Path) -> None:
    await execute(desk.database_url, "ALTER TABLE orders RENAME COLUMN sku TO hunter2")
    with worker(desk, tmp_path / "log") as only:
        path = await desk.request()
        export = await desk.final(path)
        only.terminate()
    assert (export["status"], export["failure"]) == ("failed", "internal")
    assert only.outcomes() == ["retried"] * 4 + ["failed"]
    assert "orders.sku does not exist" not in json.dumps(export)
    assert "orders.sku does not exist" in only.log.read_text()


async def test_what_no_worker_survives_is_given_up(desk: Office, tmp_path: Path) -> None:
    path = await desk.request()
    await execute(
        desk.database_url, "UPDATE exports SET status = 'running', attempts = 5, leased_until = now(), lease_id = id"
    )
    with worker(desk, tmp_path / "log") as only:
        export = await desk.final(path)
        only.terminate()
    assert (export["status"], export["failure"]) == ("failed", "gave_up")
    assert only.outcomes() == []


async def test_the_webhook_is_told_once_with_a_key(database_url: str, redis_url: str, tmp_path: Path) -> None:
    calls: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append((await reader.readuntil(b"\r\n\r\n")).decode())
        status = b"503 Service Unavailable" if len(calls) == 1 else b"204 No Content"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with listening(answer) as port:
        hook = f"http://127.0.0.1:{port}/hook"
        async with office(database_url, redis_url, tmp_path, webhook_url=hook) as desk:
            with worker(desk, tmp_path / "log") as only:
                export = await desk.final(await desk.request())

                async def is_told() -> bool:
                    return await execute(desk.database_url, "SELECT 1 FROM exports WHERE notify_after IS NULL") == [1]

                await until(is_told)
                only.terminate()
    assert len(calls) == 2
    assert all(f"idempotency-key: {export['id']}" in call.lower() for call in calls)
