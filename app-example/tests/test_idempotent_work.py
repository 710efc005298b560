"""Uploads and exports sent again: one effect, one answer, and no object that nobody knows."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app import idempotency
from app.attachments.upload import UPLOADS_PER_USER
from app.exports.service import MAX_OPEN
from tests.support import execute
from tests.test_attachments import PNG, insert_order
from tests.workers import Office, office

pytestmark = pytest.mark.services

KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


@pytest.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service with Redis and without a worker."""
    async with office(database_url, redis_url, tmp_path) as service:
        service.client.headers.update(service.headers)
        yield service


async def attach(desk: Office, path: str, content: bytes = PNG) -> httpx.Response:
    """Send a file under the key."""
    return await desk.client.post(path, files={"file": ("a.png", content, "image/png")}, headers=KEY)


@pytest.fixture
async def path(desk: Office) -> str:
    """Give the address of an order's attachments."""
    return f"/v1/orders/{await insert_order(desk.database_url, desk.tenant_id)}/attachments"


async def test_an_export_that_is_asked_for_again_is_the_same(desk: Office) -> None:
    asked = [await desk.client.post("/v1/exports", headers=KEY) for _ in range(MAX_OPEN + 1)]
    assert {each.status_code for each in asked} == {202}
    assert all(
        (each.json(), each.headers["Location"]) == (asked[0].json(), asked[0].headers["Location"]) for each in asked
    )
    assert await execute(desk.database_url, "SELECT count(*) FROM exports") == [1]
    assert (await desk.client.post("/v1/exports")).json()["id"] != asked[0].json()["id"]


async def test_a_file_that_is_sent_again_is_stored_once(desk: Office, path: str) -> None:
    first, second = await attach(desk, path), await attach(desk, path)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json(), first.headers["Location"]) == (second.json(), second.headers["Location"])
    assert [each.name for each in desk.objects()] == [first.json()["id"]]


async def test_files_that_are_sent_at_the_same_time_leave_one_object(
    desk: Office, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_MILLISECONDS", 20_000)
    answers = await asyncio.gather(*(attach(desk, path) for _ in range(UPLOADS_PER_USER)))
    assert {each.status_code for each in answers} == {201}
    (stored,) = {each.json()["id"] for each in answers}
    assert [each.name for each in desk.objects()] == [stored]
    assert await execute(desk.database_url, "SELECT id::text FROM attachments") == [stored]


async def test_another_file_under_the_same_key_is_refused_and_leaves_nothing(desk: Office, path: str) -> None:
    first = await attach(desk, path)
    other = await attach(desk, path, PNG + b"!")
    assert (other.status_code, other.json()["detail"]) == (422, "This Idempotency-Key was used for another request.")
    assert [each.name for each in desk.objects()] == [first.json()["id"]]


async def test_a_file_that_was_refused_may_be_sent_again(desk: Office, path: str) -> None:
    await execute(desk.database_url, "ALTER TABLE attachments ADD CONSTRAINT none CHECK (size_bytes < 0) NOT VALID")
    assert (await attach(desk, path)).status_code == 500
    await execute(desk.database_url, "ALTER TABLE attachments DROP CONSTRAINT none")
    assert (await attach(desk, path)).status_code == 201
    assert len(desk.objects()) == 1
