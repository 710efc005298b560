"""The commands of operators, run as they run them."""

import io
import os
import subprocess
import sys
from uuid import uuid4

import httpx
import pytest

from app.auth import accounts
from app.auth.accounts import main
from app.settings import Settings
from tests.auth.support import PASSWORD, identity_of, new_email, refresh, refresh_token, sign_in, signed_up
from tests.support import ROOT, UNREACHABLE_DATABASE_URL, UNTRACKED, execute

ADDRESS = "somebody@example.com"


def command(*arguments: str, database_url: str, stdin: str = f"{PASSWORD}\n") -> subprocess.CompletedProcess[str]:
    """Run a command."""
    pooler = {name.upper(): str(value) for name, value in UNTRACKED.items()}
    return subprocess.run(
        [sys.executable, "-m", "app.auth.accounts", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **pooler, "DATABASE_URL": database_url, "ENVIRONMENT": "local"},
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


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment whose database is away, and a password on standard input."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE_DATABASE_URL)
    monkeypatch.setenv("ENVIRONMENT", "local")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    return monkeypatch


@pytest.mark.usefixtures("local")
def test_a_password_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["create-admin", ADDRESS, PASSWORD])
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("email", "typed", "named"), [("nobody", PASSWORD, "email"), (ADDRESS, "short", "password")])
def test_what_is_wrong_with_an_account_is_one_line(
    local: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], email: str, typed: str, named: str
) -> None:
    local.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
    assert main(["create-admin", email]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"python -m app.auth.accounts: {named}: want ")
    assert error.count("\n") == 1
    assert typed not in error


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("name", ["create-admin", "disable"])
def test_a_database_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, ADDRESS]) == 1
    error = capsys.readouterr().err
    assert "ConnectionRefusedError" in error
    assert error.count("\n") == 1


def test_an_environment_that_is_wrong_is_one_line(
    local: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local.setenv("DATABASE_URL", "hunter2")
    assert main(["create-admin", ADDRESS]) == 2
    error = capsys.readouterr().err
    assert "DATABASE_URL: want " in error
    assert "hunter2" not in error


def test_a_password_that_is_typed_differently_the_second_time_is_refused(
    local: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter([PASSWORD, f"{PASSWORD}!"])

    def type_next(_prompt: str) -> str:
        return next(typed)

    local.setattr(sys.stdin, "isatty", lambda: True)
    local.setattr(accounts, "getpass", type_next)
    assert main(["create-admin", ADDRESS]) == 1
    assert "the two passwords differ" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["create-admin", "--help"], ["disable", "--help"]])
def test_there_is_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    assert "python -m app.auth.accounts" in capsys.readouterr().out
