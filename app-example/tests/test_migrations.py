"""Migrations, run as a deployment runs them."""

import asyncio
import time
from subprocess import CompletedProcess

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database import migration_engine
from tests.support import UNREACHABLE_DATABASE_URL, alembic, valid_settings

OTHER_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def test_an_unreachable_database_is_one_plain_line() -> None:
    """Kubernetes keeps only the end of the output as the reason of a failed Job."""
    done = alembic(UNREACHABLE_DATABASE_URL, "upgrade", "head")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "ConnectionRefusedError" in (done.stdout + done.stderr).splitlines()[-1]


def test_there_is_one_head() -> None:
    assert len(alembic(UNREACHABLE_DATABASE_URL, "heads").stdout.splitlines()) == 1


def test_statements_can_be_reviewed_without_a_database() -> None:
    done = alembic(UNREACHABLE_DATABASE_URL, "upgrade", "head", "--sql")
    assert done.returncode == 0
    assert "CREATE TABLE orders" in done.stdout


@pytest.mark.services
def test_upgrade_prints_plain_lines_and_a_second_one_changes_nothing(empty_database_url: str) -> None:
    first = alembic(empty_database_url, "upgrade", "head")
    second = alembic(empty_database_url, "upgrade", "head")
    assert (first.returncode, second.returncode, first.stderr, second.stderr) == (0, 0, "", "")
    assert "Running upgrade  -> 0001, Create orders." in first.stdout.splitlines()
    assert "Running upgrade" not in second.stdout


@pytest.mark.services
def test_migrations_and_models_agree(database_url: str) -> None:
    done = alembic(database_url, "check")
    assert done.returncode == 0, done.stdout


@pytest.mark.services
async def test_runs_at_the_same_time_take_turns(empty_database_url: str) -> None:
    """Kubernetes may start a Job's pod twice."""
    engine = migration_engine(valid_settings(database_url=empty_database_url))
    async with engine.begin() as other:
        # Holds up the run that comes first, until the second one is there too.
        await other.execute(text("CREATE TABLE orders (id uuid)"))
        runs = [_upgrade_in_background(empty_database_url) for _ in range(2)]
        async with asyncio.timeout(10):
            while await _other_sessions(engine) < 1 + len(runs):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await other.rollback()
    done = await asyncio.gather(*runs)
    assert [run.returncode for run in done] == [0, 0], [run.stderr for run in done]
    assert sum("Running upgrade" in run.stdout for run in done) == 1


@pytest.mark.services
async def test_a_busy_table_ends_a_migration_soon(empty_database_url: str) -> None:
    """A statement that waits for a table makes every request wait behind it."""
    engine = migration_engine(valid_settings(database_url=empty_database_url))
    async with engine.begin() as other:
        # A migration that created the table and has not committed holds up the one that wants to.
        await other.execute(text("CREATE TABLE orders (id uuid)"))
        started = time.monotonic()
        done = await _upgrade_in_background(empty_database_url)
        took_seconds = time.monotonic() - started
        await other.rollback()
    assert done.returncode != 0
    assert "lock timeout" in done.stderr
    assert took_seconds < 20


def _upgrade_in_background(database_url: str) -> asyncio.Task[CompletedProcess[str]]:
    return asyncio.create_task(asyncio.to_thread(alembic, database_url, "upgrade", "head"))


async def _other_sessions(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(text(OTHER_SESSIONS))).scalar_one()
