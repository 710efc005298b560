"""The migration runner on a real Postgres: two at once, locks, kills, older images, poolers, bad addresses."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest

from fastapi_platform_runtime.outcome import Outcome
from tests.runtime.postgres import (
    CREATE,
    CURRENT,
    PASSWORD,
    SLOW,
    TABLES,
    Postgres,
    ended,
    image,
    migrate,
    query,
    start,
    until,
)

pytestmark = pytest.mark.services

ADD = 'phase = "expand"|op.execute("ALTER TABLE orders ADD COLUMN sku text")'
DROP = 'phase = "contract"; oldest_compatible = "0002"|op.execute("ALTER TABLE orders DROP COLUMN id")'
_driver: Any = asyncpg


def test_a_new_database_gets_everything_and_a_second_run_changes_nothing(database: str, tmp_path: Path):
    image(tmp_path, CREATE, ADD)
    first, second = migrate(database, tmp_path), migrate(database, tmp_path)
    assert (first.status, first.last) == (0, "applied 2 revisions: the database is at 0002")
    assert [line["revision"] for line in first.lines if line["event"] == "revision"] == ["0001", "0002"]
    assert (second.status, second.last) == (0, "nothing to do: the database is at 0002")
    assert query(database, "SELECT oldest_compatible FROM fastapi_platform_schema ORDER BY revision") == ["0001"] * 2


def test_revisions_that_know_nothing_of_the_runner_run_as_they_are(database: str):
    """The example's, which plain Alembic also applies; each way finds what the other did."""
    example = Path(__file__).parents[2] / "app-example"
    assert migrate(database, example).status == migrate(database, example, "verify").status == 0
    assert "orders" in query(database, TABLES)
    query(database, "DROP TABLE fastapi_platform_schema", "SELECT 1")
    head = max(path.name.partition("_")[0] for path in (example / "migrations" / "versions").glob("[0-9]*.py"))
    assert migrate(database, example).last == f"nothing to do: the database is at {head}"


def test_two_runners_at_once_take_turns_and_both_succeed(database: str, tmp_path: Path):
    image(tmp_path, CREATE, SLOW)
    runs = [ended(run) for run in [start(database, tmp_path), start(database, tmp_path)]]
    assert [run.status for run in runs] == [0, 0]
    assert sorted(run.last.partition(":")[0] for run in runs) == ["applied 2 revisions", "nothing to do"]
    assert sum(any(line["event"] == "waited" for line in run.lines) for run in runs) == 1


def test_a_runner_that_waits_in_vain_says_so_at_its_deadline(database: str, tmp_path: Path):
    image(tmp_path, SLOW.replace("pg_sleep(3)", "pg_sleep(60)"))
    first = start(database, tmp_path)
    until(lambda: bool(query(database, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")))
    second = migrate(database, tmp_path, "--deadline", "1")
    assert (second.status, second.lines[-1]["outcome"]) == (Outcome.BUSY, "busy")
    first.terminate()
    assert ended(first).status == Outcome.TERMINATED


@pytest.mark.parametrize("released", [False, True])
def test_a_lock_held_elsewhere_ends_the_run_in_time_or_is_outwaited(released: bool, database: str, tmp_path: Path):
    image(tmp_path, CREATE)
    assert migrate(database, tmp_path).status == 0
    both = 'op.execute("CREATE TABLE half (id int)"); op.execute("ALTER TABLE orders ADD COLUMN sku text")'
    image(tmp_path, CREATE, f'phase = "expand"|{both}')

    async def main() -> tuple[Any, float]:
        other = await _driver.connect(dsn=database)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE orders")
        began = time.monotonic()
        limits = ("--deadline", "30" if released else "3", "--lock-timeout", "0.5")
        run = asyncio.create_task(asyncio.to_thread(migrate, database, tmp_path, *limits))
        if released:
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await asyncio.to_thread(until, lambda: bool(query(database, waits)))
            await asyncio.sleep(1)
            await transaction.rollback()
        result = await run
        took_seconds = time.monotonic() - began
        await other.close()
        return result, took_seconds

    run, took_seconds = asyncio.run(main())
    assert any(line["event"] == "retry" for line in run.lines)
    if released:
        assert (run.status, query(database, CURRENT)) == (0, ["0002"])
    else:
        assert (run.status, took_seconds < 15) == (Outcome.LOCKED, True)
        assert "revision 0002, line 8: " in run.last
        assert query(database, CURRENT) == ["0001"]
        assert "half" not in query(database, TABLES)


def test_after_a_kill_in_the_middle_the_next_run_completes(database: str, tmp_path: Path):
    """Postgres notices the dead client, or the statement left behind would hold the lock for a minute."""
    image(tmp_path, CREATE, SLOW.replace("pg_sleep(3)", "pg_sleep(60)"))
    first = start(database, tmp_path)
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    until(lambda: bool(query(database, sleeping)))
    first.kill()
    first.communicate()
    assert query(database, CURRENT) == ["0001"]
    image(tmp_path, CREATE, SLOW.replace("pg_sleep(3)", "pg_sleep(0)"))
    second = migrate(database, tmp_path, "--deadline", "20")
    assert (second.status, query(database, CURRENT)) == (0, ["0002"])


def test_a_signal_rolls_back_and_says_so(database: str, tmp_path: Path):
    image(tmp_path, CREATE, SLOW.replace("pg_sleep(3)", "pg_sleep(60)"))
    run = start(database, tmp_path)
    until(lambda: bool(query(database, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")))
    run.send_signal(signal.SIGTERM)
    done = ended(run)
    assert (done.status, query(database, CURRENT)) == (Outcome.TERMINATED, ["0001"])
    assert "half" not in query(database, TABLES)


def test_an_older_image_runs_on_a_newer_schema_that_says_so(database: str, tmp_path: Path):
    new, old = image(tmp_path / "new", CREATE, ADD), image(tmp_path / "old", CREATE)
    assert migrate(database, new).status == 0
    for mode in ("run", "verify"):
        done = migrate(database, old, mode)
        assert done.status == 0
        assert "declares that images from 0001 on may run on it" in done.last
    assert query(database, CURRENT) == ["0002"]


def test_an_older_image_is_refused_by_a_newer_schema_that_took_away_what_it_needs(database: str, tmp_path: Path):
    assert migrate(database, image(tmp_path / "new", CREATE, ADD, DROP)).status == 0
    older, oldest = image(tmp_path / "older", CREATE, ADD), image(tmp_path / "oldest", CREATE)
    assert migrate(database, older).status == 0
    for mode in ("run", "verify"):
        done = migrate(database, oldest, mode)
        assert done.status == Outcome.AHEAD
        assert "only images that contain 0002 may run on it" in done.last


def test_a_later_contract_that_asks_for_less_gives_nothing_back(database: str, tmp_path: Path):
    """What 0003 took away from images before 0002 is still gone after 0004, which takes nothing from them."""
    less = 'phase = "contract"; oldest_compatible = "0001"|op.execute("ALTER TABLE orders DROP COLUMN sku")'
    assert migrate(database, image(tmp_path / "new", CREATE, ADD, DROP, less)).status == 0
    done = migrate(database, image(tmp_path / "oldest", CREATE))
    assert (done.status, "only images that contain 0002" in done.last) == (Outcome.AHEAD, True)


@pytest.mark.parametrize("undo", ["|pass", "forget"])
def test_an_older_image_is_refused_by_a_newer_schema_that_says_nothing(database: str, tmp_path: Path, undo: str):
    """A revision without a phase, and one that plain Alembic applied."""
    assert migrate(database, image(tmp_path / "new", CREATE, "|pass" if undo != "forget" else ADD)).status == 0
    if undo == "forget":
        query(database, "DROP TABLE fastapi_platform_schema", "SELECT 1")
    done = migrate(database, image(tmp_path / "old", CREATE))
    assert done.status == Outcome.AHEAD
    assert "head 0001" in done.last


def test_a_contract_does_not_overtake_the_release_that_still_needs_what_it_takes(database: str, tmp_path: Path):
    assert migrate(database, image(tmp_path, CREATE)).status == 0
    image(tmp_path, CREATE, ADD, DROP)
    refused = migrate(database, tmp_path)
    assert (refused.status, query(database, CURRENT)) == (Outcome.EARLY, ["0001"])
    assert "release an image that ends with 0002 first" in refused.last
    assert migrate(database, tmp_path, "--accept-downtime").status == 0


def test_a_backfill_commits_as_it_goes_and_is_taken_up_again(database: str, tmp_path: Path):
    batch = "SELECT id FROM orders WHERE sku IS NULL LIMIT 100"
    step = f'op.execute("UPDATE orders SET sku = id WHERE sku IS NULL AND id IN ({batch})")'
    fill = 'op.execute("INSERT INTO orders SELECT generate_series(1, 1000)")'
    broken = f'phase = "backfill"|for n in range(10):\n    {step}\n    if n == 4: raise ValueError("enough")'
    whole = f'phase = "backfill"|for n in range(10):\n    {step}'
    common = (CREATE, ADD, f'phase = "expand"|{fill}')
    first = migrate(database, image(tmp_path, *common, broken))
    assert (first.status, first.last) == (
        Outcome.FAILED, "revision 0004, line 10; what it committed by itself stays: ValueError: enough"
    )
    assert query(database, "SELECT count(*) FROM orders WHERE sku IS NULL") == [500]
    assert migrate(database, image(tmp_path, *common, whole)).status == 0
    assert query(database, "SELECT count(*) FROM orders WHERE sku IS NULL") == [0]


def test_an_index_can_be_built_concurrently(database: str, tmp_path: Path):
    index = 'with op.get_context().autocommit_block():\n    op.execute("CREATE INDEX CONCURRENTLY ix ON orders (id)")'
    assert migrate(database, image(tmp_path, CREATE, f'phase = "expand"|{index}')).status == 0
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass") == [True]


def test_an_image_without_revisions_has_nothing_to_do_and_says_so(database: str, tmp_path: Path):
    image(tmp_path)
    assert migrate(database, tmp_path).last == "nothing to do: there is no revision yet"
    assert migrate(database, tmp_path, "verify").last == "there is no revision yet, as this image needs it"
    assert migrate(database, image(tmp_path, CREATE), "verify").last == "1 revision has not been applied: 0001"
    assert migrate(database, tmp_path).last == "applied 1 revision: the database is at 0001"


def test_verify_changes_nothing_and_names_what_is_missing(database: str, tmp_path: Path):
    image(tmp_path, CREATE, ADD)
    done = migrate(database, tmp_path, "verify")
    assert (done.status, done.last) == (Outcome.BEHIND, "2 revisions have not been applied: 0001, 0002")
    assert query(database, TABLES) == []
    assert migrate(database, tmp_path).status == migrate(database, tmp_path, "verify").status == 0


def test_a_pooler_is_refused_whatever_its_mode(pooled: str, database: str, tmp_path: Path):
    image(tmp_path, CREATE)
    assert migrate(pooled, tmp_path, "--connect-timeout", "5").status == Outcome.POOLER
    assert query(database, TABLES) == []
    assert migrate(database, tmp_path).status == 0


def test_a_wrong_password_is_one_line(server: Postgres, tmp_path: Path):
    done = migrate(server.address("postgres", password="wrong-secret"), image(tmp_path, CREATE))
    assert (done.status, len(done.lines)) == (Outcome.UNREACHABLE, 1)
    assert "password authentication failed" in done.last
    assert "wrong-secret" not in str(done.lines)


def test_the_last_message_is_left_for_whoever_looks_at_the_pod(database: str, tmp_path: Path):
    log = tmp_path / "termination-log"
    log.touch()
    done = migrate(database, image(tmp_path, CREATE), "--termination-log", str(log))
    assert log.read_text() == done.last


def test_a_migration_does_not_wait_for_ever_for_a_server_that_is_away(tmp_path: Path):
    began = time.monotonic()
    done = migrate(f"postgresql://it:{PASSWORD}@127.0.0.1:1/it", image(tmp_path, CREATE), "--connect-timeout", "1")
    assert (done.status, len(done.lines)) == (Outcome.UNREACHABLE, 1)
    assert time.monotonic() - began < 25
