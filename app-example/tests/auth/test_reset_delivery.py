"""Messages about password resets: at least one for each account, none for anybody else, and no token in Postgres."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from app.auth.resets import RESET_LIFETIME
from app.jobs import Outcome
from app.outbound import Reason, UpstreamUnavailableError
from tests.auth.support import Messenger, new_email, register, signed_up
from tests.receivers import Receiver, receiving
from tests.support import execute
from tests.workers import Office, office, until, worker

pytestmark = pytest.mark.services

AWAY = UpstreamUnavailableError("reset messages", Reason.UNREACHABLE)
DUE = "UPDATE password_reset_requests SET due_at = now()"
WAITING = "SELECT count(*) FROM password_reset_requests"
KEY = "messages-key-hunter2"


async def ask(client: httpx.AsyncClient, email: str) -> None:
    """Ask for a reset."""
    assert (await client.post("/v1/auth/password-reset", json={"email": email})).status_code == 202


async def test_nobody_is_told_of_an_address_without_an_account_or_of_a_disabled_one(
    client: httpx.AsyncClient, messages: Messenger, database_url: str
) -> None:
    disabled = await signed_up(client)
    await execute(database_url, "UPDATE users SET disabled_at = now()")
    for email in (new_email(), disabled):
        await ask(client, email)
    assert await messages.work() == [Outcome.IDLE] * 2
    assert messages.sent == []
    assert await execute(database_url, WAITING) == [0]


async def test_what_was_not_taken_over_is_tried_again_with_another_token(
    client: httpx.AsyncClient, messages: Messenger, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    email = await signed_up(client)
    await ask(client, email)
    messages.error = AWAY
    assert await messages.work() == [Outcome.RETRIED]
    assert await messages.work() == [Outcome.IDLE]
    messages.error = None
    await execute(database_url, DUE)
    assert await messages.work() == [Outcome.DONE]
    first, second = messages.sent
    assert (first.token != second.token, first.id != second.id) == (True, True)
    for message, status in ((first, 400), (second, 204)):
        body = {"token": message.token, "password": "a new password, longer"}
        assert (await client.post("/v1/auth/password-reset/confirmation", json=body)).status_code == status
    assert await execute(database_url, WAITING) == [0]
    assert "a password reset was not handed over" in caplog.text
    assert not [each for each in (email, first.token, second.token) if each in caplog.text]


async def test_of_two_workers_one_hands_the_message_over(client: httpx.AsyncClient, messages: Messenger) -> None:
    await ask(client, await signed_up(client))
    await asyncio.gather(messages.work(), messages.work())
    assert len(messages.sent) == 1


async def test_a_request_during_an_attempt_is_not_taken_for_done(
    client: httpx.AsyncClient, messages: Messenger, database_url: str
) -> None:
    email = await signed_up(client)
    await ask(client, email)

    async def ask_again(_message: object) -> None:
        await ask(client, email)

    messages.send = ask_again  # pyright: ignore[reportAttributeAccessIssue]
    assert await messages.work() == [Outcome.DONE]
    assert await execute(database_url, WAITING) == [1]


async def test_a_sweep_announces_what_waits_once_and_gives_up_what_is_old(
    client: httpx.AsyncClient, messages: Messenger, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    email = await signed_up(client)
    await ask(client, email)
    await execute(database_url, "UPDATE password_reset_requests SET announced_at = NULL")
    with pytest.MonkeyPatch.context() as patch:
        put: list[object] = []

        async def remember(*told: object) -> bool:
            put.append(told[-1])
            return True

        patch.setattr("app.queue.JobQueue.put", remember)
        await messages.delivery.sweep()
    (waiting,) = await execute(database_url, "SELECT id FROM password_reset_requests WHERE announced_at IS NOT NULL")
    assert put == [waiting]
    await execute(database_url, "UPDATE password_reset_requests SET created_at = now() - interval '61 minutes'")
    await messages.delivery.sweep()
    assert await execute(database_url, WAITING) == [0]
    assert "a password reset was given up" in caplog.text
    assert email not in caplog.text


@pytest.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Office, Receiver]]:
    """A service, and a receiver of its messages."""
    with receiving() as receiver:
        told = {"reset_messages_url": f"{receiver.url}/resets", "reset_messages_api_key": KEY}
        async with office(database_url, redis_url, tmp_path, **told) as service:
            yield service, receiver


@pytest.mark.control("log-redaction", "long-work-in-queue")
async def test_a_worker_hands_the_message_over_though_redis_lost_it_and_the_receiver_was_away(
    desk: tuple[Office, Receiver], redis_url: str, tmp_path: Path
) -> None:
    service, receiver = desk
    email = new_email()
    assert (await register(service.client, email)).status_code == 202
    await ask(service.client, email)
    async with Redis.from_url(redis_url) as redis:
        assert await redis.xlen("jobs") == 1
        await redis.flushall()
    receiver.status = 401

    async def is_refused() -> bool:
        return bool(receiver.received)

    async def is_done() -> bool:
        return await execute(service.database_url, WAITING) == [0]

    with worker(service, tmp_path / "log") as only:
        await until(is_refused)
        receiver.status = 202
        await until(is_done)
        assert only.terminate() == 0
    last = receiver.received[-1]
    body = json.loads(last.body)
    assert (last.path, last.headers["Authorization"]) == ("/resets", f"Bearer {KEY}")
    assert (body["email"], body["expires_in_seconds"]) == (email, RESET_LIFETIME.total_seconds())
    assert len({each.headers["Idempotency-Key"] for each in receiver.received}) == len(receiver.received)
    confirmed = {"token": body["token"], "password": "a new password, longer"}
    path = "/v1/auth/password-reset/confirmation"
    assert (await service.client.post(path, json=confirmed)).status_code == 204
    logged = only.log.read_text()
    refused = next(line for line in only.lines() if line["message"] == "a password reset was not handed over")
    assert (refused["reason"], refused["error"]) == ("broken", "status 401")
    assert not [each for each in (email, body["token"], KEY) if each in logged]


async def test_without_a_receiver_the_log_says_so_and_has_neither_address_nor_token(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with office(database_url, None, tmp_path) as service:
        email = new_email()
        assert (await register(service.client, email)).status_code == 202
        await ask(service.client, email)

        async def is_done() -> bool:
            return await execute(database_url, WAITING) == [0]

        await until(is_done)
    logged = capsys.readouterr().out
    assert "a password reset goes nowhere: RESET_MESSAGES_URL is not set" in logged
    assert email not in logged
