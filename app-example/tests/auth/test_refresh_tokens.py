"""Refresh tokens: used once, ended at will, and nowhere to be found in the database."""

import asyncio
import base64

import httpx
import pytest
from sqlalchemy import text

from app.auth.endpoints import COOKIE
from app.database import open_database
from app.jobs import Outcome
from app.outbound import Reason, UpstreamUnavailableError
from app.settings import Settings
from tests.auth.support import (
    PASSWORD,
    Messenger,
    identity_of,
    refresh,
    refresh_token,
    sign_in,
    signed_up,
)
from tests.support import execute, valid_settings

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE refresh_tokens%'
"""

pytestmark = [pytest.mark.services, pytest.mark.control("refresh-tokens-hashed-revocable")]


async def everything_stored(database_url: str) -> str:
    """Return every column of every row, as text."""
    tables = await execute(database_url, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
    assert {"users", "refresh_tokens", "password_resets", "password_reset_requests"} <= set(tables)
    rows = [await execute(database_url, f'SELECT t::text FROM "{table}" t') for table in tables]  # noqa: S608
    return "\n".join(row for each in rows for row in each)


def spellings(secret: str) -> set[str]:
    """Return how a secret could be stored as it is: text, bytes of the text, the bytes that the text stands for."""
    raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return {secret, secret.encode().hex(), raw.hex(), base64.b64encode(raw).decode().rstrip("=")}


async def test_no_token_and_no_password_is_in_any_column(
    client: httpx.AsyncClient, messages: Messenger, database_url: str
) -> None:
    email = await signed_up(client)
    first = refresh_token(client)
    await refresh(client, first)
    tokens = [first, refresh_token(client)]
    await client.post("/v1/auth/password-reset", json={"email": email})
    messages.error = UpstreamUnavailableError("reset messages", Reason.UNREACHABLE)
    assert await messages.work() == [Outcome.RETRIED]
    secrets = [*(token.partition(".")[2] for token in tokens), messages.sent[0].token]
    stored = await everything_stored(database_url)
    assert email in stored
    assert PASSWORD not in stored
    found = [spelling for secret in secrets for spelling in spellings(secret) if spelling in stored]
    assert found == []


async def test_a_refresh_gives_new_tokens_of_the_same_account(client: httpx.AsyncClient, settings: Settings) -> None:
    email = await signed_up(client)
    signed_in, first = await sign_in(client, email), refresh_token(client)
    refreshed = await refresh(client, first)
    assert refreshed.status_code == 200
    assert refreshed.headers["Cache-Control"] == "no-store"
    assert identity_of(settings, refreshed) == identity_of(settings, signed_in)
    assert refresh_token(client) != first
    assert (await refresh(client, refresh_token(client))).status_code == 200


async def test_a_replayed_token_is_refused_and_ends_the_sign_in(client: httpx.AsyncClient) -> None:
    email = await signed_up(client)
    other = refresh_token(client)
    await sign_in(client, email)
    stolen = refresh_token(client)
    await refresh(client, stolen)
    latest = refresh_token(client)
    assert (await refresh(client, stolen)).status_code == 401
    assert (await refresh(client, latest)).status_code == 401
    assert (await refresh(client, other)).status_code == 200, "another sign-in of the account goes on"


async def test_of_two_requests_with_the_same_token_at_once_exactly_one_wins_and_the_sign_in_goes_on(
    client: httpx.AsyncClient, direct_database_url: str
) -> None:
    """Two tabs are no thief: both saw that the token was valid. The lock holds them until both have."""
    await signed_up(client)
    headers = {"Cookie": f"{COOKIE}={refresh_token(client)}"}
    client.cookies.clear()
    async with open_database(valid_settings(database_url=direct_database_url).database) as database:
        async with database.engine.begin() as connection:
            await connection.execute(text("SELECT 1 FROM refresh_tokens FOR UPDATE"))
            both = [asyncio.create_task(client.post("/v1/auth/refresh", headers=headers)) for _ in range(2)]
            async with asyncio.timeout(20):
                while await execute(direct_database_url, WAITING) != [2]:
                    await asyncio.sleep(0.01)
        answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert (await refresh(client, refresh_token(client))).status_code == 200


async def test_a_sign_out_ends_the_sign_in_and_takes_the_cookie_back(client: httpx.AsyncClient) -> None:
    await signed_up(client)
    token = refresh_token(client)
    signed_out = await client.post("/v1/auth/sign-out")
    assert signed_out.status_code == 204
    assert COOKIE not in client.cookies
    assert (await refresh(client, token)).status_code == 401


@pytest.mark.parametrize("token", ["", "hunter2", f"{'0' * 32}.{'a' * 43}", "x" * 100])
async def test_a_token_that_is_none_is_refused_and_can_be_signed_out(client: httpx.AsyncClient, token: str) -> None:
    assert (await refresh(client, token)).status_code == 401
    assert (await client.post("/v1/auth/sign-out", headers={"Cookie": f"{COOKIE}={token}"})).status_code == 204


async def test_a_sign_in_ends_with_its_days_however_often_it_is_refreshed(
    client: httpx.AsyncClient, database_url: str
) -> None:
    await signed_up(client)
    before = await execute(database_url, "SELECT expires_at FROM refresh_tokens")
    assert (await refresh(client, refresh_token(client))).status_code == 200
    assert await execute(database_url, "SELECT expires_at FROM refresh_tokens") == before
    (days,) = await execute(database_url, "SELECT extract(day FROM expires_at - created_at) FROM refresh_tokens")
    assert days == 14
    await execute(database_url, "UPDATE refresh_tokens SET expires_at = now()")
    assert (await refresh(client, refresh_token(client))).status_code == 401


async def test_expired_sign_ins_are_forgotten_at_the_next_one(client: httpx.AsyncClient, database_url: str) -> None:
    email = await signed_up(client)
    await execute(database_url, "UPDATE refresh_tokens SET expires_at = now()")
    await sign_in(client, email)
    assert await execute(database_url, "SELECT count(*) FROM refresh_tokens") == [1]


async def test_another_role_is_in_the_next_token(
    client: httpx.AsyncClient, settings: Settings, database_url: str
) -> None:
    await signed_up(client)
    await execute(database_url, "UPDATE users SET role = 'admin'")
    assert identity_of(settings, await refresh(client, refresh_token(client))).role == "admin"
