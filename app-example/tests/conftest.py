"""Fixtures: an environment without our variables, and a database of this run's own."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import make_url, text

from app.database import migration_engine
from app.main import create_app
from app.settings import DatabaseSettings, Settings
from tests.support import alembic, serve, valid_settings

NO_DATABASE = "needs Postgres: apt-get install postgresql, then TEST_DATABASE_URL as in README.md, Tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a database where there is none."""
    if not os.environ.get("TEST_DATABASE_URL"):
        for item in items:
            if item.get_closest_marker("services"):
                item.add_marker(pytest.mark.skip(reason=NO_DATABASE))


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests as the server does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the developer's shell decides no test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """Give the address of a new database without tables, and drop it afterwards."""
    with _new_database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template() -> Iterator[str]:
    """Give the name of a database with all migrations, to copy from."""
    with _new_database() as url:
        alembic(url, "upgrade", "head").check_returncode()
        yield str(make_url(url).database)


@pytest.fixture
def database_url(migrated_template: str) -> Iterator[str]:
    """Give the address of a new database with all migrations, and drop it afterwards."""
    with _new_database(template=migrated_template) as url:
        yield url


@pytest.fixture
async def client(database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of a service with a database."""
    async with serve(create_app(valid_settings(database_url=database_url))) as client:
        yield client


@contextmanager
def _new_database(template: str = "template1") -> Generator[str]:
    name = f"orders_test_{uuid4().hex}"
    server = make_url(os.environ["TEST_DATABASE_URL"])
    asyncio.run(_administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_administer(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(statement: str) -> None:
    settings = DatabaseSettings.model_validate({"database_url": os.environ["TEST_DATABASE_URL"]})
    engine = migration_engine(settings).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
