"""What is said of a revision that fails: where, why, what of it stays, and nothing of what is in rows or statements."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest

from fastapi_platform_runtime.outcome import Outcome
from tests.runtime.postgres import CREATE, CURRENT, SLOW, TABLES, ended, image, migrate, query, start, until

pytestmark = pytest.mark.services

_driver: Any = asyncpg


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('op.execute("SELECT nothing FROM nowhere")', 'relation "nowhere" does not exist (42P01)'),
        ('op.execute("INSERT INTO orders VALUES (4711), (4711)")', "UniqueViolationError table orders constraint one"),
        ('op.execute("SELECT \'4711\'::date")', "InvalidDatetimeFormatError"),
        ("""op.execute("SELECT 4711, '{:4711}'")""", "InvalidRequestError: A value is required for bind parameter …"),
        ("""op.get_bind().execute("SELECT '4711'")""", "ObjectNotExecutableError: Not an executable object: …"),
    ],
)
def test_a_revision_that_fails_is_rolled_back_and_its_rows_are_not_shown(
    body: str, said: str, database: str, tmp_path: Path
):
    unique = 'op.execute("CREATE TABLE orders (id int CONSTRAINT one UNIQUE)")'
    done = migrate(database, image(tmp_path, f"|{unique}", f"|op.execute('CREATE TABLE half ()'); {body}"))
    assert done.status == Outcome.FAILED
    assert said in done.last
    assert "4711" not in done.last
    assert (query(database, CURRENT), "half" in query(database, TABLES)) == (["0001"], False)


def test_a_statement_that_takes_too_long_is_a_failure_and_not_tried_again(database: str, tmp_path: Path):
    done = migrate(database, image(tmp_path, SLOW), "--statement-timeout", "0.5")
    assert (done.status, query(database, TABLES).count("half")) == (Outcome.FAILED, 0)
    assert "took longer than 0.5 s" in done.last
    assert not any(line["event"] == "retry" for line in done.lines)


def test_a_connection_that_is_lost_is_one_clear_failure(database: str, tmp_path: Path):
    image(tmp_path, CREATE, SLOW.replace("pg_sleep(3)", "pg_sleep(60)"))
    run = start(database, tmp_path)
    sleeping = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    until(lambda: bool(query(database, f"SELECT pid {sleeping}")))
    query(database, f"SELECT pg_terminate_backend(pid) {sleeping}")
    done = ended(run)
    assert (done.status, query(database, CURRENT)) == (Outcome.FAILED, ["0001"])
    assert "revision 0002, line 8; it was rolled back: " in done.last


@pytest.mark.parametrize("phase", ["expand", "backfill"])
def test_what_a_revision_committed_by_itself_is_not_said_to_be_rolled_back(phase: str, database: str, tmp_path: Path):
    alone = 'with op.get_context().autocommit_block(): op.execute("CREATE TABLE half ()")\nop.execute("SELECT nothing")'
    done = migrate(database, image(tmp_path, f'phase = "{phase}"|{alone}'))
    assert "half" in query(database, TABLES)
    assert 'revision 0001, line 9; what it committed by itself stays: column "nothing"' in done.last


def test_of_an_index_that_is_not_built_in_time_what_stays_is_named(database: str, tmp_path: Path):
    index = 'with op.get_context().autocommit_block(): op.execute("CREATE INDEX CONCURRENTLY ix ON orders (id)")'
    assert migrate(database, image(tmp_path, CREATE)).status == 0

    async def main() -> Any:
        other = await _driver.connect(dsn=database)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("INSERT INTO orders VALUES (1)")
        limits = ("--statement-timeout", "1", "--lock-timeout", "9")
        done = await asyncio.to_thread(migrate, database, image(tmp_path, CREATE, f'phase = "expand"|{index}'), *limits)
        await other.close()
        return done

    done = asyncio.run(main())
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass") == [False]
    said = "took longer than 1 s; what it committed by itself stays, and an index that is not valid may"
    assert done.last.endswith(said)
