"""Accounts on a real Postgres, direct and through PgBouncer."""

import httpx
import pytest
from sqlalchemy.exc import IntegrityError

from app.auth.tokens import Role
from app.main import create_app
from app.settings import Settings
from tests.auth.support import PASSWORD, bearer, identity_of, new_email, register, sign_in, signed_up
from tests.support import execute, serve, signed_in

pytestmark = pytest.mark.services


async def test_whoever_registers_can_sign_in_and_read_the_account(client: httpx.AsyncClient) -> None:
    email = new_email()
    assert (await register(client, email)).status_code == 202
    answer = await sign_in(client, email)
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"
    account = await client.get("/v1/auth/me", headers=bearer(answer.json()["access_token"]))
    assert account.status_code == 200
    assert account.json().items() >= {"email": email, "role": "member"}.items()
    assert account.json()["created_at"].endswith("Z")


async def test_each_registration_has_a_tenant_of_its_own(client: httpx.AsyncClient, settings: Settings) -> None:
    identities = [identity_of(settings, await sign_in(client, await signed_up(client))) for _ in range(2)]
    assert len({identity.tenant_id for identity in identities}) == 2
    assert {identity.role for identity in identities} == {Role.MEMBER}


async def test_an_address_is_the_same_in_small_and_capital_letters(
    client: httpx.AsyncClient, database_url: str
) -> None:
    email = new_email()
    await register(client, email.upper())
    await register(client, email, "another password, later")
    assert (await sign_in(client, email.title())).status_code == 200
    assert await execute(database_url, "SELECT email FROM users") == [email]


async def test_postgres_itself_refuses_an_address_with_capitals(client: httpx.AsyncClient, database_url: str) -> None:
    await signed_up(client)
    with pytest.raises(IntegrityError, match="ck_users_email_lower_case"):
        await execute(database_url, "UPDATE users SET email = upper(email)")


async def test_a_disabled_account_gets_no_further(client: httpx.AsyncClient, database_url: str) -> None:
    email = await signed_up(client)
    access_token = (await sign_in(client, email)).json()["access_token"]
    await execute(database_url, "UPDATE users SET disabled_at = now()")
    assert (await sign_in(client, email)).status_code == 401
    assert (await client.post("/v1/auth/refresh")).status_code == 401
    assert (await client.get("/v1/auth/me", headers=bearer(access_token))).status_code == 401


async def test_a_token_of_an_account_that_is_gone_reads_nothing(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await client.get("/v1/auth/me", headers=signed_in(settings))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.control("log-redaction")
async def test_neither_addresses_nor_secrets_are_logged(capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
    async with serve(create_app(settings)) as client:
        client.base_url = "https://orders.test"
        email = await signed_up(client)
        await sign_in(client, email, "sentinel of a wrong password")
        await register(client, email)
        await client.post("/v1/auth/password-reset", json={"email": email})
        secrets = (email, PASSWORD, "sentinel", *client.cookies.values())
    out = capsys.readouterr().out
    assert '"request"' in out
    assert [secret for secret in secrets if secret in out] == []
