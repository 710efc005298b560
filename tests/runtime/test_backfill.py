"""Backfills on a real Postgres: beside a service that is in use, killed in the middle, and asked for the impossible."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from fastapi_platform_runtime.outcome import Outcome
from tests.runtime.postgres import Ended, ended, image, migrate, query, start
from tests.runtime.servers import OURS, running

pytestmark = pytest.mark.services

CLIENTS = 8
ROWS = 1_000_000
CREATE = (
    'phase = "expand"|op.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, sku text NOT NULL, '
    'quantity int NOT NULL DEFAULT 0)")'
)
ADD = (
    'phase = "expand"|op.execute("ALTER TABLE orders ADD COLUMN code text, ADD COLUMN writes int NOT NULL DEFAULT 0")'
)
WRONG = "SELECT count(*) FROM orders WHERE id <= {rows} AND (code IS DISTINCT FROM upper(sku) OR writes <> 1)"


def backfill(arguments: str = "", phase: str = "backfill") -> str:
    """A revision that also counts how often it writes a row."""
    standard = 'set_="code = upper(sku), writes = writes + 1", where="code IS NULL"'
    imports = "from fastapi_platform_runtime.backfill import in_batches"
    return f'phase = "{phase}"|{imports}\nin_batches("orders", {arguments or standard})'


def filled(database: str, folder: Path, rows: int) -> None:
    assert migrate(database, image(folder, CREATE, ADD)).status == 0
    query(database, f"INSERT INTO orders (sku) SELECT 'sku-' || n FROM generate_series(1, {rows}) n", "SELECT 1")


@dataclass
class Load:
    """What the service's clients saw."""

    answers: Counter[int] = field(default_factory=Counter[int])
    errors: list[str] = field(default_factory=list[str])
    longest_seconds: float = 0.0
    done: bool = False

    async def client(self, port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while not self.done:
                method = random.choice(("GET", "PUT", "POST"))
                path = "/orders" if method == "POST" else f"/orders/{random.randint(1, ROWS)}"
                began = time.monotonic()
                try:
                    answer = await client.request(method, path)
                    self.answers[answer.status_code] += 1
                except httpx.HTTPError as exc:
                    self.errors.append(repr(exc))
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                await asyncio.sleep(0.005)


async def migrated_under_load(database: str, folder: Path, port: int) -> tuple[Ended, Load, float]:
    load = Load()
    clients = [asyncio.create_task(load.client(port)) for _ in range(CLIENTS)]
    began = time.monotonic()
    run = await asyncio.to_thread(ended, start(database, folder), 300)
    took_seconds = time.monotonic() - began
    load.done = True
    await asyncio.gather(*clients)
    return run, load, took_seconds


def test_a_million_rows_are_written_while_the_service_answers_everything(
    database: str, tmp_path: Path, record_property: Callable[[str, object], None]
):
    filled(database, tmp_path, ROWS)
    large = 'set_="code = upper(sku), writes = writes + 1", where="code IS NULL", rows=5000'
    image(tmp_path, CREATE, ADD, backfill(large))
    with running(OURS, app="orders:create_app", env={"DATABASE_URL": database}) as server:
        run, load, took_seconds = asyncio.run(migrated_under_load(database, tmp_path, server.port))
    figures = (f"{ROWS / took_seconds:,.0f} rows/s, {load.answers.total()} requests, {len(load.errors)} errors, "
               f"longest {load.longest_seconds * 1000:.0f} ms")
    record_property("backfill", figures)
    print(f"backfill of {ROWS:,} rows under load: {figures}")  # noqa: T201
    assert run.status == 0
    assert (load.errors, set(load.answers)) == ([], {200})
    assert load.answers.total() > 100
    assert load.longest_seconds < 10
    assert query(database, WRONG.format(rows=ROWS)) == [0]
    progress = [line for line in run.lines if line["event"] == "progress"]
    assert progress[-1]["rows"] >= ROWS
    assert progress[-1]["revision"] == "0003"


def test_after_a_kill_in_the_middle_the_next_run_writes_the_rest_and_nothing_twice(database: str, tmp_path: Path):
    rows = 50_000
    filled(database, tmp_path, rows)
    slow = 'set_="code = upper(sku), writes = writes + 1", where="code IS NULL", rows=250, pause_seconds=0.05'
    image(tmp_path, CREATE, ADD, backfill(slow))
    first = start(database, tmp_path)
    written = "SELECT count(*) FROM orders WHERE writes = 1"
    deadline = time.monotonic() + 30
    while query(database, written)[0] < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert 0 < query(database, written)[0] < rows
    assert query(database, "SELECT version_num FROM alembic_version") == ["0002"]
    image(tmp_path, CREATE, ADD, backfill())
    assert migrate(database, tmp_path).status == 0
    assert query(database, WRONG.format(rows=rows)) == [0]


@pytest.mark.parametrize("pause_seconds", [0.05, 60])
def test_a_signal_ends_a_backfill_between_two_batches(pause_seconds: float, database: str, tmp_path: Path):
    """At once, and not after the pause: Kubernetes kills what does not end."""
    filled(database, tmp_path, 10_000)
    slow = f'set_="code = upper(sku)", where="code IS NULL", rows=10, pause_seconds={pause_seconds}'
    run = start(database, image(tmp_path, CREATE, ADD, backfill(slow)))
    deadline = time.monotonic() + 30
    while not query(database, "SELECT count(*) FROM orders WHERE code IS NOT NULL")[0]:
        assert time.monotonic() < deadline
    run.terminate()
    done = ended(run, timeout_seconds=25)
    assert done.status == Outcome.TERMINATED
    assert query(database, "SELECT count(*) % 10 FROM orders WHERE code IS NOT NULL") == [0]


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ('"id"', "id uuid PRIMARY KEY DEFAULT gen_random_uuid()"),
        ('"id"', "id text COLLATE \"C\" PRIMARY KEY DEFAULT md5(random()::text)"),
        ('"id"', "id timestamptz PRIMARY KEY DEFAULT now() - random() * interval '9 years'"),
        ('("shop", "id")', "shop smallint NOT NULL DEFAULT 7 * random(), id bigint NOT NULL DEFAULT 9e18 * random(), "
         "PRIMARY KEY (shop, id)"),
    ],
)
def test_a_table_is_walked_along_any_key(key: str, column: str, database: str, tmp_path: Path):
    query(database, f"CREATE TABLE orders ({column}, n int, note jsonb)",
          "INSERT INTO orders (n) SELECT generate_series(1, 1050)", "SELECT 1")
    arguments = f"""key={key}, set_="note = to_jsonb('a:b'::text)", where="note IS NULL", rows=100"""
    done = migrate(database, image(tmp_path, backfill(arguments)))
    assert (done.status, done.lines[-2]["rows"]) == (0, 1050)
    assert query(database, "SELECT count(*) FROM orders WHERE note = to_jsonb('a:b'::text)") == [1050]


def test_a_connection_that_is_lost_in_a_backfill_is_named_as_such(database: str, tmp_path: Path):
    """Not what leaving the block on a dead connection raises after it."""
    filled(database, tmp_path, 10)
    slow = 'set_="writes = (SELECT 1 FROM pg_sleep(60))", where="code IS NULL"'
    run = start(database, image(tmp_path, CREATE, ADD, backfill(slow)))
    sleeping = "FROM pg_stat_activity WHERE query LIKE 'WITH batch%' AND state = 'active'"
    deadline = time.monotonic() + 30
    while not query(database, f"SELECT pg_terminate_backend(pid) {sleeping}"):
        assert time.monotonic() < deadline
    done = ended(run)
    assert done.status == Outcome.FAILED
    assert "PendingRollback" not in done.last
    assert "revision 0003, line 9; what it committed by itself stays: " in done.last


@pytest.mark.parametrize(
    ("arguments", "phase", "said"),
    [
        ('set_="quantity = 1", where="code IS NULL"', "backfill", "10 rows that were written are still to be done"),
        ("", "expand", 'each batch is committed by itself: want phase = "backfill"'),
        ('set_="quantity = 1", where="true", rows=0', "backfill", "got rows 0 and pause_seconds 0.05, want 1"),
        ('set_="nothing = 1", where="true"', "backfill", 'column "nothing"'),
    ],
)
def test_what_cannot_end_is_refused(arguments: str, phase: str, said: str, database: str, tmp_path: Path):
    filled(database, tmp_path, 10)
    done = migrate(database, image(tmp_path, CREATE, ADD, backfill(arguments, phase)))
    assert done.status == Outcome.FAILED
    assert said in done.last
    assert query(database, "SELECT version_num FROM alembic_version") == ["0002"]


def test_rows_that_are_added_behind_the_walk_are_written_too(database: str, tmp_path: Path):
    """A trigger adds a row in front of all others with each that is written, a hundred in all."""
    filled(database, tmp_path, 1000)
    query(
        database,
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id BETWEEN 101 AND 200 THEN "
        "INSERT INTO orders (id, sku) VALUES (-NEW.id, 'late'); END IF; RETURN NEW; END $$",
        "CREATE TRIGGER again AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION again()",
        "SELECT 1",
    )
    rows = 'set_="code = upper(sku)", where="code IS NULL", rows=50'
    done = migrate(database, image(tmp_path, CREATE, ADD, backfill(rows)))
    assert (done.status, done.lines[-2]["rows"]) == (0, 1100)
    assert query(database, "SELECT count(*) FROM orders WHERE code IS NULL") == [0]
