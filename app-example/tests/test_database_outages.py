"""A database that does not serve, seen from outside; and what its errors may say."""

import asyncio
import json

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import make_url, text

from app.database import Session
from app.database_errors import DatabaseUnavailableError
from app.errors import RETRY_AFTER_SECONDS
from app.main import create_app
from tests.proxies import interrupted_at_will
from tests.support import UNREACHABLE_DATABASE_URL, execute, listening, serve, valid_settings

pytestmark = pytest.mark.control("consistent-error-schema", "no-stack-trace-leak")

SENTINEL = "sentinel-4711"


def app_of(statement: str, database_url: str, **settings: object) -> FastAPI:
    """Return an application with one route, which runs a statement with a value."""
    app = create_app(valid_settings(database_url=database_url, **settings))
    router = APIRouter()

    @router.get("/v1/statement")
    async def run(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
        values = {"value": SENTINEL} if ":value" in statement else {}
        await session.execute(text(statement), values)

    app.include_router(router)
    return app


def assert_outage(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert response.json()["detail"] == "The service cannot reach its data now."


async def asked(app: FastAPI) -> httpx.Response:
    async with serve(app) as client:
        return await client.get("/v1/statement")


@pytest.mark.parametrize("url", [UNREACHABLE_DATABASE_URL, "postgresql://orders@nowhere.invalid:5432/orders"])
async def test_an_address_where_nobody_listens_is_an_outage(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert_outage(await asked(app_of("SELECT 1", url)))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["message"] == "the database does not serve"]
    assert line["error"] == DatabaseUnavailableError.__name__


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_server_that_hangs_or_hangs_up_is_an_outage(hangs: bool) -> None:
    async def converse(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read() if hangs else await reader.read(8)

    async with listening(converse) as port:
        url = f"postgresql://orders@127.0.0.1:{port}/orders?sslmode=disable"
        assert_outage(await asked(app_of("SELECT 1", url, database_connect_timeout_seconds=0.3)))


async def test_a_timeout_that_is_not_the_database_s_is_our_mistake() -> None:
    app = create_app(valid_settings())

    @app.get("/v1/statement")
    async def late() -> None:  # pyright: ignore[reportUnusedFunction]
        raise TimeoutError

    assert (await asked(app)).status_code == 500


@pytest.mark.services
@pytest.mark.parametrize("limit", ["client", "server"])
async def test_a_statement_that_takes_too_long_is_an_outage(database_url: str, limit: str) -> None:
    statement = "SELECT pg_sleep(20)"
    if limit == "client":
        assert_outage(await asked(app_of(statement, database_url, database_command_timeout_seconds=0.3)))
    else:
        statement = "SELECT set_config('statement_timeout', '100', true), pg_sleep(0.01)"
        app = app_of(statement, database_url)

        @app.get("/v1/slow")
        async def slow(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
            await session.execute(text(statement))
            await session.execute(text("SELECT pg_sleep(20)"))

        async with serve(app) as client:
            assert_outage(await client.get("/v1/slow"))


@pytest.mark.services
async def test_a_server_that_falls_silent_is_an_outage_and_soon_told(database_url: str) -> None:
    address = make_url(database_url)
    async with interrupted_at_will(address.port or 0) as (port, passing):
        url = address.set(port=port).render_as_string(hide_password=False)
        app = app_of("SELECT 1", url, database_connect_timeout_seconds=1, database_command_timeout_seconds=30)
        async with serve(app) as client:
            assert (await client.get("/v1/statement")).status_code == 200
            passing.clear()
            async with asyncio.timeout(15):
                assert_outage(await client.get("/v1/statement"))
            passing.set()
            assert (await client.get("/v1/statement")).status_code == 200


@pytest.mark.services
async def test_a_pool_without_a_free_connection_is_an_outage(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    pool = {"database_pool_size": 1, "database_pool_overflow": 0, "database_pool_timeout_seconds": 0.2}
    app = app_of("SELECT pg_sleep(1)", database_url, **pool)
    async with serve(app) as client:
        answers = await asyncio.gather(*(client.get("/v1/statement") for _ in range(3)))
    failed = [answer for answer in answers if answer.status_code != 200]
    assert failed
    for answer in failed:
        assert_outage(answer)
    assert "no connection of the pool became free in time" in capsys.readouterr().out


@pytest.mark.services
@pytest.mark.parametrize("part", ["database", "password"])
async def test_a_login_that_is_refused_is_an_outage(direct_database_url: str, part: str) -> None:
    known = make_url(direct_database_url)
    url = known.set(database="hunter2") if part == "database" else known.set(password="hunter2")
    response = await asked(app_of("SELECT 1", url.render_as_string(hide_password=False)))
    assert_outage(response)
    assert "hunter2" not in response.text


@pytest.mark.services
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '25006'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '53300'; END $$",
    ],
)
async def test_what_may_succeed_later_is_an_outage(database_url: str, statement: str) -> None:
    assert_outage(await asked(app_of(statement, database_url)))


@pytest.mark.services
@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT * FROM nothing", "SELECT 1/0"])
async def test_a_wrong_statement_is_our_mistake(database_url: str, statement: str) -> None:
    assert (await asked(app_of(statement, database_url))).status_code == 500


@pytest.mark.services
@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("INSERT INTO seen VALUES (:value)", "uq_seen"),
        ("INSERT INTO seen VALUES (CAST(:value AS text) || '!')", "ck_seen"),
        ("SELECT CAST(CAST(:value AS text) AS uuid)", "22P02"),
        ("SELECT CAST(:value AS integer)", "22000"),
        ("SELECT CAST(CAST(:value AS text) AS json)", "22P02"),
    ],
)
async def test_an_error_keeps_no_value_in_the_logs(
    capsys: pytest.CaptureFixture[str], database_url: str, statement: str, kept: str
) -> None:
    await execute(
        database_url,
        "CREATE TABLE seen (value text CONSTRAINT uq_seen UNIQUE CONSTRAINT ck_seen CHECK (value NOT LIKE '%!'))",
        f"INSERT INTO seen VALUES ('{SENTINEL}')",  # noqa: S608
    )
    response = await asked(app_of(statement, database_url))
    out = capsys.readouterr().out
    assert response.status_code == 500
    assert SENTINEL not in response.text
    assert "unhandled error" in out
    assert kept in out
    assert SENTINEL not in out
