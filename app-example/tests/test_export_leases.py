"""Leases and sweeps on a real Postgres, without a worker: who gets a row, and who has lost it."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from taskiq import InMemoryBroker

from app.chores import Chores
from app.exports.leases import LeaseLostError
from app.queue import JobQueue
from app.storage import open_storage
from tests.rows import Desk, open_desk
from tests.support import execute, valid_settings

pytestmark = [pytest.mark.services, pytest.mark.control("long-work-in-queue")]

DEAD = "UPDATE exports SET leased_until = now() - interval '1 s'"


def objects(bucket: Path) -> list[str]:
    """Return the names of what is in a bucket."""
    return sorted(str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file())


@pytest.fixture
async def desk(database_url: str) -> AsyncGenerator[Desk]:
    async with open_desk(database_url) as found:
        yield found


async def test_of_many_that_claim_an_export_one_gets_it(desk: Desk) -> None:
    export_id = await desk.export()
    claims = await asyncio.gather(*(desk.leases.claim(export_id) for _ in range(8)))
    assert len([lease for lease in claims if lease]) == 1
    assert await desk.column("attempts") == [1]


async def test_one_that_comes_back_from_the_dead_changes_nothing(desk: Desk) -> None:
    export_id = await desk.export()
    dead = await desk.leases.claim(export_id)
    await execute(desk.database_url, DEAD)
    alive = await desk.leases.claim(export_id)
    assert dead
    assert alive
    for attempt in (
        desk.leases.renew(dead),
        desk.leases.finish(dead, rows=1, size_bytes=1, notify=False),
        desk.leases.retry(dead, counted=True),
        desk.leases.release(dead),
    ):
        with pytest.raises(LeaseLostError):
            await attempt
    await desk.leases.finish(alive, rows=7, size_bytes=70, notify=False)
    with pytest.raises(LeaseLostError):
        await desk.leases.finish(alive, rows=8, size_bytes=80, notify=False)
    assert (await desk.column("rows"), await desk.column("status")) == ([7], ["done"])


async def test_a_lease_that_is_renewed_is_nobody_elses(desk: Desk) -> None:
    export_id = await desk.export()
    lease = await desk.leases.claim(export_id)
    assert lease
    await execute(desk.database_url, DEAD)
    await desk.leases.renew(lease)
    assert await desk.leases.claim(export_id) is None


async def test_work_that_was_given_back_has_cost_no_attempt(desk: Desk) -> None:
    export_id = await desk.export()
    for _ in range(3):
        lease = await desk.leases.claim(export_id)
        assert lease
        await desk.leases.release(lease)
    assert await desk.outbox.unannounced() == [export_id]


async def test_what_failed_waits_before_it_is_tried_again(desk: Desk) -> None:
    export_id = await desk.export()
    lease = await desk.leases.claim(export_id)
    assert lease
    await desk.leases.retry(lease, counted=True)
    assert await desk.leases.claim(export_id) is None
    assert await desk.outbox.unannounced() == []


async def test_two_sweeps_announce_once(desk: Desk) -> None:
    waiting = {await desk.export() for _ in range(3)}
    found = await asyncio.gather(desk.outbox.unannounced(), desk.outbox.unannounced())
    assert sorted(found[0] + found[1]) == sorted(waiting)
    assert await desk.outbox.unannounced() == []


async def test_a_notice_is_announced_once_however_often_anybody_looks(desk: Desk) -> None:
    export_id = await desk.done()
    assert await desk.outbox.to_notify() == [export_id]
    assert await desk.outbox.to_notify() == []
    await execute(desk.database_url, "UPDATE exports SET announced_at = now() - interval '1 hour'")
    assert await desk.outbox.to_notify() == [export_id]


async def test_nobody_is_told_of_notices_that_nobody_wants(desk: Desk) -> None:
    """The address of the webhook was taken away while a notice was due: there is no job for it any more."""
    await desk.done()
    told: list[str] = []

    class Queue(JobQueue):
        async def put(self, job: str, subject: UUID, request_id: str | None = None) -> bool:
            told.append(job)
            return True

    async with open_storage(valid_settings()) as storage:
        for notify, jobs in ((False, []), (True, ["exports.notify"])):
            await Chores(desk.database, storage, Queue(InMemoryBroker()), desk.outbox, notify=notify).sweep()
            assert told == jobs


async def test_the_backlog_says_how_long_the_oldest_waits(desk: Desk) -> None:
    assert (await desk.outbox.backlog()).oldest_seconds == 0
    await desk.leases.claim(await desk.export())
    await desk.export()
    await execute(desk.database_url, "UPDATE exports SET available_at = available_at - interval '90 s'")
    backlog = await desk.outbox.backlog()
    assert (backlog.queued, backlog.running) == (1, 1)
    assert 90 <= backlog.oldest_seconds < 900


@pytest.mark.control("upload-restrictions")
async def test_old_objects_that_no_row_knows_are_removed_and_those_of_others_are_left_alone(
    desk: Desk, tmp_path: Path
) -> None:
    lease = await desk.leases.claim(await desk.export())
    assert lease
    kept = f"exports/{lease.export_id}/{lease.id}"
    names = [kept, f"exports/{lease.export_id}/{uuid4()}", f"attachments/{uuid4()}", f"attachments/{uuid4()}"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
    foreign = ["attachments/README", f"attachments/{uuid4()}/{uuid4()}", "exports/README", f"exports/{uuid4()}"]
    for name in foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("not ours")
    for name in (*names[:3], *foreign):
        os.utime(tmp_path / name, (0, 0))
    async with open_storage(valid_settings(storage_url=f"file://{tmp_path}")) as storage:
        chores = Chores(desk.database, storage, JobQueue(InMemoryBroker()), desk.outbox, notify=False)
        await chores.clean_attachments()
        await chores.clean_exports()
    assert objects(tmp_path) == sorted([kept, names[3], *foreign])


async def test_what_was_kept_long_enough_is_forgotten(desk: Desk) -> None:
    old, young = await desk.export(), await desk.export()
    for export_id in (old, young):
        lease = await desk.leases.claim(export_id)
        assert lease
        await desk.leases.finish(lease, rows=1, size_bytes=1, notify=False)
    await execute(
        desk.database_url,
        f"UPDATE exports SET finished_at = now() - interval '8 days' WHERE id = '{old}'",  # noqa: S608
    )
    assert await desk.outbox.forget() == [old]
    assert await desk.column("id") == [young]
