"""The commands of operators, run as they run them."""

import os
import subprocess
import sys
from uuid import uuid4

import httpx
import pytest

from app.settings import Settings
from tests.auth.support import PASSWORD, identity_of, new_email, refresh, refresh_token, sign_in, signed_up
from tests.support import ROOT, UNREACHABLE_DATABASE_URL, execute


UNTRACKED = {"DATABASE_POOLER_PREPARED_STATEMENTS": "0", "DATABASE_STATEMENT_CACHE_SIZE": "0"}
"""For a PgBouncer that tracks no prepared statements; no harm without one."""
ADDRESS = "somebody@example.com"


def command(*arguments: str, database_url: str, stdin: str = f"{PASSWORD}\n") -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(
        [sys.executable, "-m", "app.auth.accounts", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **UNTRACKED, "DATABASE_URL": database_url, "ENVIRONMENT": "local"},
        input=stdin,
        text=True,
        timeout=60,
    )


def assert_refused(done: subprocess.CompletedProcess[str], status: int, reason: str) -> None:
    """Compare with one plain line on standard error that repeats no address and no password."""
    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert reason in line
    assert PASSWORD not in line
    assert not {word for word in done.args if "@" in word and word in line}


@pytest.mark.services
async def test_an_operator_creates_an_administrator(
    client: httpx.AsyncClient, settings: Settings, database_url: str
) -> None:
    email, tenant = new_email(), uuid4()
    done = command("create-admin", email.upper(), "--tenant", str(tenant), database_url=database_url)
    assert (done.returncode, done.stderr) == (0, "")
    identity = identity_of(settings, await sign_in(client, email))
    assert (identity.role, identity.tenant_id) == ("admin", tenant)
    assert done.stdout == f"created administrator {identity.user_id}\n"


@pytest.mark.services
async def test_an_address_that_is_taken_changes_nothing(client: httpx.AsyncClient, database_url: str) -> None:
    email = await signed_up(client)
    before = await execute(database_url, "SELECT u::text FROM users u")
    done = command("create-admin", email, database_url=database_url)
    assert_refused(done, 1, "this address has an account already")
    assert await execute(database_url, "SELECT u::text FROM users u") == before


@pytest.mark.services
async def test_a_disabled_account_is_signed_out(client: httpx.AsyncClient, database_url: str) -> None:
    email = await signed_up(client)
    assert command("disable", email, database_url=database_url).returncode == 0
    assert (await refresh(client, refresh_token(client))).status_code == 401
    assert (await sign_in(client, email)).status_code == 401
    assert_refused(command("disable", email, database_url=database_url), 1, "no account of this address")


def test_a_password_is_no_argument() -> None:
    done = command("create-admin", ADDRESS, PASSWORD, database_url=UNREACHABLE_DATABASE_URL)
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize(
    ("email", "stdin", "named"), [("nobody", f"{PASSWORD}\n", "email"), (ADDRESS, "short\n", "password")]
)
def test_what_is_wrong_with_an_account_is_one_line(email: str, stdin: str, named: str) -> None:
    done = command("create-admin", email, database_url=UNREACHABLE_DATABASE_URL, stdin=stdin)
    assert_refused(done, 2, f"{named}: ")
    assert stdin.strip() not in done.stderr


def test_a_database_that_is_away_is_one_line() -> None:
    done = command("create-admin", ADDRESS, database_url=UNREACHABLE_DATABASE_URL)
    assert_refused(done, 1, "ConnectionRefusedError")


def test_an_environment_that_is_wrong_is_one_line() -> None:
    done = command("create-admin", ADDRESS, database_url="hunter2")
    assert_refused(done, 2, "DATABASE_URL")


@pytest.mark.parametrize("arguments", [("--help",), ("create-admin", "--help"), ("disable", "--help")])
def test_there_is_help(arguments: tuple[str, ...]) -> None:
    done = command(*arguments, database_url="")
    assert done.returncode == 0
    assert "python -m app.auth.accounts" in done.stdout
