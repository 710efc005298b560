"""How long work is tried again: what only waits for another service outlives an outage of hours."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from obstore.store import MemoryStore

from app.error_reports import ErrorReports
from app.exports.runner import ExportRunner, Outcome
from app.metrics import Metrics
from app.pace import PACE
from app.storage import Storage, StorageError, StorageTimeoutError
from tests.rows import Desk, open_desk
from tests.support import execute, valid_settings

NOW = "UPDATE exports SET available_at = now()"


class Storehouse(Storage):
    """A storage that fails as long as the test wants it to."""

    error: Exception | None = StorageError("away")

    async def write(self, name: str, content: AsyncIterator[bytes], *, within_seconds: float) -> None:
        """Store, or fail."""
        if self.error is not None:
            raise self.error
        await super().write(name, content, within_seconds=within_seconds)


@pytest.fixture
async def desk(database_url: str) -> AsyncGenerator[Desk]:
    async with open_desk(database_url) as found:
        yield found


def runner(desk: Desk, storage: Storage, metrics: Metrics) -> ExportRunner:
    return ExportRunner(desk.leases, storage, desk.pace, ErrorReports(None, metrics), notify=False)


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics(valid_settings())


def test_pauses_grow_with_the_age_of_the_work_up_to_a_longest_one() -> None:
    age, pauses = 0.0, list[float]()
    while age < PACE.give_up_seconds:
        pauses.append(PACE.pause_seconds(age_seconds=age))
        age += pauses[-1]
    assert pauses[:5] == [5, 5, 10, 20, 40]
    assert pauses[-1] == PACE.retry_max_seconds
    assert len(pauses) < 200


@pytest.mark.services
@pytest.mark.control("long-work-in-queue")
async def test_an_export_outlives_a_storage_that_is_away_for_hours(desk: Desk, metrics: Metrics) -> None:
    export_id = await desk.export()
    storage = Storehouse(MemoryStore())
    work = runner(desk, storage, metrics)
    await execute(desk.database_url, "UPDATE exports SET created_at = now() - interval '20 hours'")
    for _ in range(3 * desk.pace.max_attempts):
        assert await work.run(export_id) is Outcome.RETRIED
        assert await work.run(export_id) is Outcome.IDLE
        await execute(desk.database_url, NOW)
    storage.error = None
    assert await work.run(export_id) is Outcome.DONE


@pytest.mark.services
@pytest.mark.control("long-work-in-queue")
async def test_an_export_has_failed_when_the_storage_was_away_for_a_day(desk: Desk, metrics: Metrics) -> None:
    export_id = await desk.export()
    await execute(desk.database_url, "UPDATE exports SET created_at = now() - interval '25 hours'")
    assert await runner(desk, Storehouse(MemoryStore()), metrics).run(export_id) is Outcome.FAILED
    assert await desk.column("failure") == ["storage_unavailable"]


@pytest.mark.services
@pytest.mark.control("long-work-in-queue")
@pytest.mark.parametrize(
    ("error", "failure", "reported"),
    [(StorageTimeoutError("too slow"), "timed_out", False), (LookupError("of ours"), "internal", True)],
)
async def test_what_waiting_does_not_mend_ends_after_a_few_attempts(
    desk: Desk, metrics: Metrics, error: Exception, failure: str, reported: bool
) -> None:
    export_id = await desk.export()
    storage = Storehouse(MemoryStore())
    storage.error = error
    work = runner(desk, storage, metrics)
    assert await work.run(export_id) is Outcome.RETRIED
    await execute(desk.database_url, NOW)
    assert await work.run(export_id) is Outcome.FAILED
    assert await desk.column("failure") == [failure]
    counted = metrics.registry.get_sample_value("unhandled_exceptions_total", {"type": "LookupError"})
    assert counted == (desk.pace.max_attempts if reported else None)
