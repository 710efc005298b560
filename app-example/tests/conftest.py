"""Fixtures: an environment without our variables, and services of this run's own."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar
from uuid import uuid4

import httpx
import pytest
from fastapi_platform_runtime.engine import EngineSettings
from redis.asyncio import Redis
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.main import create_app
from development import services
from tests.support import THROUGH_PGBOUNCER, execute, insert_products, migrate, serve, signed_in, valid_settings

Service = TypeVar("Service")

KEPT = ("COVERAGE", "HYPOTHESIS", "LC_", "PYTEST", "PYTHON", "SSL_", "TEST_", "UV_", "XDG_")
KEPT_NAMES = ("CI", "HOME", "LANG", "PATH", "TMPDIR", "TZ", "USER")
"""Variables that tools need and no settings have."""


def pytest_configure() -> None:
    """Run in a zone that nobody takes for UTC: a time without its zone is wrong by 5 hours 45 minutes."""
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests as the server does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the developer's shell decides no test."""
    for name in os.environ:
        if not name.startswith(KEPT) and name not in KEPT_NAMES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[services.Postgres]:
    """Give a Postgres of this run's own."""
    with _or_skip(services.postgres()) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: services.Postgres) -> Iterator[int]:
    """Give the port of a PgBouncer in transaction mode before that Postgres."""
    with _or_skip(services.pgbouncer(postgres)) as port:
        yield port


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Give the address of a Redis of this run's own."""
    with _or_skip(services.redis()) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Give the address of a Redis that holds nothing."""
    asyncio.run(_flush(redis_server))
    return redis_server


@pytest.fixture
def empty_database_url(postgres: services.Postgres) -> Iterator[str]:
    """Give the address of a new database without tables, and drop it afterwards."""
    with _new_database(postgres) as name:
        yield postgres.url(name)


@pytest.fixture(scope="session")
def migrated_template(postgres: services.Postgres) -> Iterator[str]:
    """Give the name of a database with all migrations, to copy from."""
    with _new_database(postgres) as name:
        migrate(postgres.url(name)).check_returncode()
        yield name


@pytest.fixture
def direct_database_url(postgres: services.Postgres, migrated_template: str) -> Iterator[str]:
    """Give the address of a new database with all migrations, and drop it afterwards."""
    with _new_database(postgres, template=migrated_template) as name:
        yield postgres.url(name)


@pytest.fixture(params=["direct", "pooled"])
def database_url(request: pytest.FixtureRequest, postgres: services.Postgres, direct_database_url: str) -> str:
    """Give the address of such a database as the application gets it: direct, and through PgBouncer."""
    if request.param == "direct":
        return direct_database_url
    port: int = request.getfixturevalue("pgbouncer")
    return f"{postgres.url(str(make_url(direct_database_url).database), port=port)}?{THROUGH_PGBOUNCER}"


@pytest.fixture
async def client(database_url: str, redis_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of a service with its database and Redis."""
    async with serve(create_app(valid_settings(database_url=database_url, redis_url=redis_url))) as client:
        yield client


@pytest.fixture
async def member(client: httpx.AsyncClient, database_url: str) -> httpx.AsyncClient:
    """Give that client as somebody of a tenant, in a shop that has mugs."""
    await execute(database_url, insert_products("MUG-1"))
    client.headers.update(signed_in(valid_settings(database_url=database_url)))
    return client


@contextmanager
def _or_skip(starting: AbstractContextManager[Service]) -> Generator[Service]:
    try:
        with starting as service:
            yield service
    except services.MissingProgramError as exc:
        pytest.skip(str(exc))


@contextmanager
def _new_database(server: services.Postgres, template: str = "template1") -> Generator[str]:
    name = f"orders_test_{uuid4().hex}"
    asyncio.run(_administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield name
    finally:
        asyncio.run(_administer(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(server: services.Postgres, statement: str) -> None:
    settings = EngineSettings.from_environment({"DATABASE_URL": server.url()})
    engine = create_async_engine(**settings.arguments(), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def _flush(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.flushall()
