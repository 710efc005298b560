"""Sessions and connections on a real Postgres: whose they are, when they go back, what they hold up."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI
from fastapi_platform_runtime.engine import EngineSettings, EngineSettingsError
from sqlalchemy import select, text

from app.database import Session, open_database
from app.main import create_app
from app.products.models import Product
from app.products.schemas import ProductRead
from tests.observed import observe
from tests.support import execute, held_lock, insert_products, serve, signed_in, valid_settings

pytestmark = pytest.mark.services

ACTIVITY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {}"
PARTIES = 5


def app_with_doors(database_url: str) -> FastAPI:
    """Return an application with routes that show what becomes of a session."""
    app = create_app(valid_settings(database_url=database_url, database_pool_size=PARTIES))
    together = asyncio.Barrier(PARTIES)

    @app.get("/test/together")
    async def meet(session: Session) -> list[int]:  # pyright: ignore[reportUnusedFunction]
        """Answer when all are here, each in its transaction."""
        process = await session.scalar(text("SELECT pg_backend_pid()"))
        await together.wait()
        return [id(session), process or 0]

    @app.get("/test/broken")
    async def fail(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
        """Leave a transaction open and fail."""
        await session.execute(text("UPDATE products SET name = 'broken'"))
        raise RuntimeError("broken")

    @app.get("/test/slow")
    async def wait(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
        """Wait for what a test does."""
        await session.execute(text("SELECT pg_advisory_xact_lock(1)"))

    return app


@pytest.fixture
async def client(database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of that application, in a shop that has mugs."""
    await execute(database_url, insert_products("MUG-1"))
    async with serve(app_with_doors(database_url)) as client:
        client.headers.update(signed_in(valid_settings(database_url=database_url)))
        yield client


@pytest.mark.control("session-per-request")
async def test_concurrent_requests_share_neither_session_nor_connection(client: httpx.AsyncClient) -> None:
    with observe() as seen:
        answers = await asyncio.gather(*(client.get("/test/together") for _ in range(PARTIES)))
    sessions, processes = zip(*(answer.json() for answer in answers), strict=True)
    assert len(set(sessions)) == len(set(processes)) == PARTIES
    assert (seen.most_checked_out, seen.checked_out) == (PARTIES, 0)


@pytest.mark.control("session-per-request")
async def test_a_failing_request_leaves_no_transaction_and_no_connection_behind(
    client: httpx.AsyncClient, database_url: str
) -> None:
    with observe() as seen:
        answers = await asyncio.gather(*(client.get("/test/broken") for _ in range(PARTIES * 4)))
    assert {answer.status_code for answer in answers} == {500}
    assert seen.checked_out == 0
    # The worker beside it has transactions too, and ends them.
    async with asyncio.timeout(20):
        while await execute(database_url, ACTIVITY.format("state LIKE 'idle in transaction%'")) != [0]:
            await asyncio.sleep(0.05)
    assert await execute(database_url, "SELECT name FROM products") == ["Name of MUG-1"]


@pytest.mark.control("session-per-request")
async def test_one_connection_is_enough_for_any_number_of_requests(database_url: str) -> None:
    await execute(
        database_url,
        insert_products("MUG-1"),
        "ALTER TABLE orders ADD CONSTRAINT no_sevens CHECK (quantity <> 7)",
    )
    settings = valid_settings(database_pool_overflow=0, database_pool_size=1, database_url=database_url)
    async with serve(create_app(settings)) as client:
        client.headers.update(signed_in(settings))
        bodies = [{"sku": "MUG-1", "quantity": quantity} for quantity in (1, 7) * 10]
        answers = await asyncio.gather(*(client.post("/v1/orders", json=body) for body in bodies))
        assert [answer.status_code for answer in answers] == [201, 500] * 10
        assert len((await client.get("/v1/orders?limit=100")).json()["items"]) == 10


@pytest.mark.control("no-expire-on-commit")
async def test_what_was_stored_is_read_after_the_commit_without_a_statement(database_url: str) -> None:
    async with open_database(valid_settings(database_url=database_url).database) as database:
        product = Product(sku="MUG-1", name="Mug", price_cents=1200)
        async with database.sessions() as session, session.begin():
            session.add(product)
        async with database.sessions() as session:
            found = (await session.scalars(select(Product))).one()
            await session.commit()
            with observe() as seen:
                assert ProductRead.model_validate(found) == ProductRead.model_validate(product)
            assert seen.statements == []


@pytest.mark.control("no-expire-on-commit")
async def test_an_answer_is_written_after_the_commit_without_a_statement(client: httpx.AsyncClient) -> None:
    with observe() as seen:
        assert (await client.post("/v1/orders", json={"sku": "MUG-1", "quantity": 1})).status_code == 201
    assert seen.statements[-1] == "COMMIT"
    assert seen.statements.count("COMMIT") == 1


@pytest.mark.control("async-db-driver")
async def test_a_slow_statement_holds_up_no_other_request(client: httpx.AsyncClient, database_url: str) -> None:
    async with held_lock(database_url):
        slow = asyncio.create_task(client.get("/test/slow"))
        async with asyncio.timeout(20):
            while await execute(database_url, ACTIVITY.format("wait_event = 'advisory'")) != [1]:
                await asyncio.sleep(0.05)
        answers = [await client.get("/v1/orders") for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert not slow.done()
    assert (await asyncio.wait_for(slow, 20)).status_code == 200


@pytest.mark.control("async-db-driver")
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "pg8000"])
def test_a_driver_that_blocks_is_refused_at_startup(driver: str) -> None:
    with pytest.raises(EngineSettingsError, match="DATABASE_URL"):
        EngineSettings.from_environment({"DATABASE_URL": f"postgresql+{driver}://orders@db/orders"})
