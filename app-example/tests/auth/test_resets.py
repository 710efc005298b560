"""Password resets: one message, one use, and no sign-in survives."""

import asyncio

import httpx
import pytest

from app.jobs import Outcome
from tests.auth.support import PASSWORD, Messenger, refresh, refresh_token, sign_in, signed_up
from tests.support import execute

pytestmark = pytest.mark.services

NEW_PASSWORD = "a new password, longer"


async def requested(client: httpx.AsyncClient, messages: Messenger, email: str) -> str:
    """Ask for a reset and return the token of its message."""
    assert (await client.post("/v1/auth/password-reset", json={"email": email})).status_code == 202
    assert await messages.work() == [Outcome.DONE]
    assert messages.sent[-1].email == email
    return messages.sent[-1].token


async def confirm(client: httpx.AsyncClient, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    """Choose a new password."""
    return await client.post("/v1/auth/password-reset/confirmation", json={"token": token, "password": password})


async def test_a_reset_replaces_the_password_and_ends_every_sign_in(
    client: httpx.AsyncClient, messages: Messenger
) -> None:
    email = await signed_up(client)
    held = refresh_token(client)
    assert (await confirm(client, await requested(client, messages, email))).status_code == 204
    assert (await refresh(client, held)).status_code == 401
    assert (await sign_in(client, email, PASSWORD)).status_code == 401
    assert (await sign_in(client, email, NEW_PASSWORD)).status_code == 200


async def test_a_reset_works_once(client: httpx.AsyncClient, messages: Messenger) -> None:
    email = await signed_up(client)
    token = await requested(client, messages, email)
    assert (await confirm(client, token, "short")).status_code == 422
    answers = await asyncio.gather(*(confirm(client, token) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [204, 400]
    refused = await confirm(client, token)
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/problem+json")


async def test_a_later_reset_replaces_an_earlier_one(client: httpx.AsyncClient, messages: Messenger) -> None:
    email = await signed_up(client)
    earlier, later = [await requested(client, messages, email) for _ in range(2)]
    assert (await confirm(client, earlier)).status_code == 400
    assert (await confirm(client, later)).status_code == 204


@pytest.mark.parametrize(
    "meanwhile", ["UPDATE password_resets SET expires_at = now()", "UPDATE users SET disabled_at = now()"]
)
async def test_an_expired_reset_or_a_disabled_account_is_refused(
    client: httpx.AsyncClient, messages: Messenger, database_url: str, meanwhile: str
) -> None:
    token = await requested(client, messages, await signed_up(client))
    await execute(database_url, meanwhile)
    before = await execute(database_url, "SELECT password_hash FROM users")
    assert (await confirm(client, token)).status_code == 400
    assert await execute(database_url, "SELECT password_hash FROM users") == before


async def test_a_reset_ends_within_the_hour(client: httpx.AsyncClient, messages: Messenger, database_url: str) -> None:
    await requested(client, messages, await signed_up(client))
    statement = "SELECT extract(epoch FROM expires_at - created_at)::int FROM password_resets"
    assert await execute(database_url, statement) == [1800]
