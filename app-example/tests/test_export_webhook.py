"""Telling the webhook: how long it is tried, what is said of failures, and who may try."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.exports.webhook import WebhookNotifier
from app.jobs import Outcome
from app.outbound import Outbound, open_outbound
from tests.receivers import Receiver, receiving
from tests.rows import Desk, open_desk
from tests.support import execute, valid_settings

pytestmark = [pytest.mark.services, pytest.mark.control("long-work-in-queue")]

SECONDS_LEFT = "SELECT extract(epoch FROM notify_after - now())::float FROM exports"
UNREACHABLE = (None, "unreachable", "ConnectError")
NOW = "UPDATE exports SET notify_after = now()"


@pytest.fixture
async def desk(database_url: str) -> AsyncGenerator[Desk]:
    async with open_desk(database_url) as found:
        yield found


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def notifier(desk: Desk, url: str, **settings: object) -> AsyncGenerator[WebhookNotifier]:
    async with open_outbound(valid_settings(**settings)) as outbound:
        yield WebhookNotifier(desk.database, outbound, url, desk.pace)


async def test_a_receiver_that_is_away_for_hours_hears_of_the_export(desk: Desk, webhook: Receiver) -> None:
    export_id = await desk.done()
    await execute(desk.database_url, "UPDATE exports SET finished_at = now() - interval '20 hours'")
    async with notifier(desk, webhook.url) as notices:
        webhook.status = 500
        for _ in range(4 * desk.pace.max_attempts):
            assert await notices.run(export_id) is Outcome.RETRIED
            assert await notices.run(export_id) is Outcome.IDLE
            await execute(desk.database_url, NOW)
        webhook.status = 204
        assert await notices.run(export_id) is Outcome.DONE
    assert await desk.column("notify_after") == [None]


async def test_a_receiver_that_is_away_for_a_day_does_not(
    desk: Desk, webhook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    export_id = await desk.done()
    await execute(desk.database_url, "UPDATE exports SET finished_at = now() - interval '25 hours'")
    webhook.status = 500
    async with notifier(desk, webhook.url) as notices:
        assert await notices.run(export_id) is Outcome.FAILED
    assert await desk.column("notify_after") == [None]
    assert [record.levelname for record in caplog.records if "webhook" in record.message] == ["WARNING", "ERROR"]


@pytest.mark.parametrize("failure", [(401, "refused", "status 401"), (503, "busy", "status 503"), UNREACHABLE])
async def test_a_line_says_why_the_webhook_was_not_told(
    desk: Desk,
    webhook: Receiver,
    caplog: pytest.LogCaptureFixture,
    failure: tuple[int | None, str, str],
) -> None:
    status, reason, error = failure
    export_id = await desk.done()
    webhook.status = status or 200
    async with notifier(desk, webhook.url if status else "http://127.0.0.1:1/hunter2") as notices:
        assert await notices.run(export_id) is Outcome.RETRIED
    (line,) = [record for record in caplog.records if record.name == "app.exports.webhook"]
    assert vars(line)["fields"] == {
        "service": "webhook",
        "export_id": str(export_id),
        "attempt": 1,
        "reason": reason,
        "error": error,
    }
    assert "hunter2" not in json.dumps(vars(line)["fields"])


async def test_nobody_else_tries_while_a_call_may_still_run(desk: Desk, webhook: Receiver) -> None:
    """By the bounds of the settings a call may take five minutes."""
    export_id = await desk.done()
    slow = {"outbound_connect_seconds": 30, "outbound_read_seconds": 120}
    left: list[float] = []

    class Watched(Outbound):
        async def call(self, *arguments: object, **options: object) -> httpx.Response:  # pyright: ignore[reportIncompatibleMethodOverride]
            del arguments, options
            left.extend(await execute(desk.database_url, SECONDS_LEFT))
            return httpx.Response(204)

    async with open_outbound(valid_settings(**slow)) as outbound, httpx.AsyncClient() as client:
        watched = Watched(client, deadline_seconds=outbound.deadline_seconds)
        assert await WebhookNotifier(desk.database, watched, webhook.url, desk.pace).run(export_id) is Outcome.DONE
    assert left[0] > 300


@pytest.mark.parametrize("other", ["succeeds", "fails", "succeeds later than this one began"])
async def test_a_call_that_fails_late_does_not_bring_back_what_somebody_else_did(
    desk: Desk, webhook: Receiver, other: str
) -> None:
    export_id = await desk.done()

    class Late(Outbound):
        async def call(self, *arguments: object, **options: object) -> httpx.Response:  # pyright: ignore[reportIncompatibleMethodOverride]
            del arguments, options
            if other == "succeeds later than this one began":
                await execute(desk.database_url, "UPDATE exports SET notify_after = NULL")
                return httpx.Response(500)
            await execute(desk.database_url, NOW)
            async with notifier(desk, webhook.url) as another:
                webhook.status = 204 if other == "succeeds" else 500
                assert await another.run(export_id) is (Outcome.DONE if other == "succeeds" else Outcome.RETRIED)
            return httpx.Response(500)

    async with httpx.AsyncClient() as client:
        late = WebhookNotifier(desk.database, Late(client, deadline_seconds=1), webhook.url, desk.pace)
        assert await late.run(export_id) is Outcome.LOST
    assert await desk.column("notify_after IS NULL") == [other != "fails"]
