"""What is refused in which phase, statement by statement, and what is let through. Needs squawk, and no database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_platform_runtime import lint
from tests.runtime.postgres import image

FIRST = 'phase = "expand"|op.execute("CREATE TABLE orders (id bigint PRIMARY KEY, sku text)")'
ALTER = "ALTER TABLE orders"
EXPAND, BACKFILL = 'phase = "expand"', 'phase = "backfill"'
CONTRACT = 'phase = "contract"; oldest_compatible = "0001"'
IN_BATCHES = (
    "from fastapi_platform_runtime.backfill import in_batches\n"
    'in_batches("orders", set_="sku = id::text", where="sku IS NULL")'
)
OPAQUE = "cannot-be-judged-offline"
Judge = Callable[..., list[str]]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Judge:
    """Judge one revision after the first; gives the rules that it breaks."""

    def judge(declarations: str, body: str) -> list[str]:
        monkeypatch.chdir(image(tmp_path, FIRST, f"{declarations}|{body}"))
        status = lint.main(["--format", "json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        assert status == bool(found)
        assert all(each["path"] == "migrations/versions/0002.py" for each in found)
        assert all(each["why"] and each["instead"] for each in found)
        return [each["rule"] for each in found]

    return judge


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def outside(*statements: str) -> str:
    return "with op.get_context().autocommit_block():\n    " + sql(*statements).replace("\n", "\n    ")


ONLY_IN_A_CONTRACT = [
    ("DROP TABLE orders", "ban-drop-table"),
    (f"{ALTER} DROP COLUMN sku", "ban-drop-column"),
    (f"{ALTER} DROP CONSTRAINT one", "ban-drop-constraint"),
    (f"{ALTER} ALTER COLUMN sku DROP DEFAULT", "ban-drop-default"),
    (f"{ALTER} ALTER COLUMN sku DROP NOT NULL", "ban-drop-not-null"),
    ("DROP VIEW recent", "ban-drop-view"),
    ("DROP TYPE mood", "ban-drop-type"),
    ("DROP SCHEMA shop", "ban-drop-schema"),
    ("DROP SEQUENCE numbers", "ban-drop-sequence"),
    ("DROP FUNCTION price()", "ban-drop-function"),
    (f"{ALTER} SET SCHEMA shop", "ban-set-schema"),
    (f"{ALTER} RENAME CONSTRAINT one TO two", "renaming-object"),
]


@pytest.mark.parametrize("phase", ["", EXPAND, CONTRACT])
@pytest.mark.parametrize(("statement", "rule"), ONLY_IN_A_CONTRACT)
def test_what_takes_away_belongs_into_a_contract(statement: str, rule: str, phase: str, judge: Judge):
    expected = [] if phase == CONTRACT else [rule]
    assert judge(phase, sql(statement)) == ([] if phase else ["phase-not-declared"]) + expected


NEVER = [
    (f"{ALTER} RENAME COLUMN sku TO code", "renaming-column"),
    (f"{ALTER} RENAME TO bought", "renaming-table"),
    (f"{ALTER} ADD COLUMN n int NOT NULL", "adding-required-field"),
    (f"{ALTER} ADD COLUMN n uuid DEFAULT gen_random_uuid()", "adding-field-with-default"),
    (f"{ALTER} ADD COLUMN n int GENERATED ALWAYS AS (1) STORED", "adding-field-with-default"),
    (f"{ALTER} ADD COLUMN n int PRIMARY KEY", "adding-serial-primary-key-field"),
    (f"{ALTER} ADD COLUMN n int UNIQUE", "disallowed-unique-constraint"),
    (f"{ALTER} ALTER COLUMN sku SET NOT NULL", "adding-not-nullable-field"),
    (f"{ALTER} ALTER COLUMN sku TYPE bigint", "changing-column-type"),
    (f"{ALTER} ADD CONSTRAINT one CHECK (id > 0)", "constraint-missing-not-valid"),
    (f"{ALTER} ADD CONSTRAINT one EXCLUDE USING gist (id WITH =)", "constraint-missing-not-valid"),
    ("CREATE INDEX one ON orders (sku)", "require-concurrent-index-creation"),
    ("CREATE UNIQUE INDEX one ON public.orders (sku)", "require-concurrent-index-creation"),
    ("DROP INDEX one", "require-concurrent-index-deletion"),
    ("REINDEX TABLE orders", "require-concurrent-reindex"),
    ("CREATE INDEX CONCURRENTLY IF NOT EXISTS one ON orders (sku)", "ban-concurrent-index-creation-in-transaction"),
    ("DROP INDEX CONCURRENTLY one", "concurrently-in-transaction"),
    ("VACUUM orders", "concurrently-in-transaction"),
    ("LOCK TABLE orders", "blocking-statement"),
    ("TRUNCATE orders", "blocking-statement"),
    ("CLUSTER orders USING one", "blocking-statement"),
    ("REFRESH MATERIALIZED VIEW recent", "blocking-statement"),
    (f"{ALTER} SET UNLOGGED", "blocking-statement"),
    ("UPDATE orders SET sku = 'x' WHERE sku IS NULL", "data-in-schema-revision"),
    ("DELETE FROM orders", "data-in-schema-revision"),
    ("WITH old AS (SELECT 1) UPDATE orders SET sku = 'x'", "data-in-schema-revision"),
    ("DROP DATABASE shop", "ban-drop-database"),
    ("DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$", OPAQUE),
    ("COMMIT", "transaction-nesting"),
    ("ALTR TABLE orders", "syntax-error"),
    ("/* -- */ DROP DATABASE shop -- squawk-ignore ban-drop-database", "ban-drop-database"),
]


@pytest.mark.parametrize("phase", [EXPAND, CONTRACT])
@pytest.mark.parametrize(("statement", "rule"), NEVER)
def test_what_locks_rewrites_or_breaks_is_refused_in_any_phase(statement: str, rule: str, phase: str, judge: Judge):
    assert rule in judge(phase, sql(statement))


GOOD = [
    (EXPAND, sql(f"{ALTER} ADD COLUMN n int")),
    (EXPAND, sql(f"{ALTER} ADD COLUMN n int NOT NULL DEFAULT 1")),
    (EXPAND, sql(f"{ALTER} ADD COLUMN at timestamptz NOT NULL DEFAULT now()")),
    (EXPAND, sql(f"{ALTER} ADD CONSTRAINT one CHECK (id > 0) NOT VALID")),
    (EXPAND, sql(f"{ALTER} ADD CONSTRAINT one FOREIGN KEY (id) REFERENCES users (id) NOT VALID")),
    (EXPAND, sql(f"{ALTER} VALIDATE CONSTRAINT one")),
    (EXPAND, sql(f"{ALTER} ADD CONSTRAINT one UNIQUE USING INDEX one")),
    (EXPAND, sql("CREATE TABLE carts (id int)", "CREATE INDEX one ON carts (id)", "UPDATE carts SET id = 1")),
    (EXPAND, sql('CREATE TABLE "Carts" (id int)', 'ALTER TABLE "Carts" ALTER COLUMN id SET NOT NULL')),
    (EXPAND, sql("CREATE TABLE carts (id int)", "ALTER TABLE carts ADD FOREIGN KEY (id) REFERENCES orders (id)")),
    (EXPAND, sql("INSERT INTO orders VALUES (1, 'a; DROP TABLE orders') -- ; DROP TABLE orders")),
    (EXPAND, outside("DROP INDEX CONCURRENTLY IF EXISTS one", "CREATE INDEX CONCURRENTLY one ON orders (sku)")),
    (EXPAND, outside("ALTER TYPE mood ADD VALUE 'glad'")),
    (EXPAND, "from alembic import context\n" + outside("SELECT 1").replace("op.get_context", "context.get_context")),
    (EXPAND, sql("SELECT 1")),
    (CONTRACT, sql(f"{ALTER} VALIDATE CONSTRAINT one", f"{ALTER} ALTER COLUMN sku SET NOT NULL")),
    (CONTRACT, outside("DROP INDEX CONCURRENTLY one")),
    (BACKFILL, IN_BATCHES),
    (BACKFILL, sql("DROP INDEX CONCURRENTLY IF EXISTS one", "CREATE INDEX CONCURRENTLY one ON orders (sku)")),
    (BACKFILL, sql(f"{ALTER} VALIDATE CONSTRAINT one")),
    (BACKFILL, sql("UPDATE orders SET sku = 'x' WHERE id IN (SELECT id FROM orders WHERE sku IS NULL LIMIT 100)")),
    (BACKFILL, sql("UPDATE orders SET sku = 'x' WHERE id BETWEEN 1 AND 1000 AND sku IS NULL")),
    (BACKFILL, sql("UPDATE orders SET sku = 'x' WHERE sku IS NULL AND id >= 1 AND id < 1000")),
    (BACKFILL, sql("DELETE FROM orders WHERE orders.id<=1000 AND orders.id>1")),
]


@pytest.mark.parametrize(("phase", "body"), GOOD)
def test_what_is_safe_in_its_phase_is_let_through(phase: str, body: str, judge: Judge):
    assert judge(phase, body) == []


AGAIN = "CREATE TABLE orders (id int)"
IN_ITS_PHASE = [
    (EXPAND, sql("DROP TABLE orders", AGAIN), "ban-drop-table"),
    (EXPAND, sql(f"{ALTER} RENAME TO bought", AGAIN), "renaming-table"),
    (EXPAND, sql("CREATE TABLE IF NOT EXISTS orders (id int)", f"{ALTER} DROP COLUMN sku"), "ban-drop-column"),
    (EXPAND, sql("CREATE TABLE IF NOT EXISTS\n  orders (id int)", "CREATE INDEX one ON orders (sku)"),
     "require-concurrent-index-creation"),
    (EXPAND, sql("CREATE TABLE carts (id int)", "DROP TABLE carts, orders"), "ban-drop-table"),
    (EXPAND, sql("CREATE TABLE carts (id int)", "TRUNCATE carts, orders"), "blocking-statement"),
    (EXPAND, sql(AGAIN, f"{ALTER} RENAME TO carts", f"{ALTER} DROP COLUMN sku"), "ban-drop-column"),
    (EXPAND, sql(AGAIN, "DROP TABLE orders", f"{ALTER} DROP COLUMN sku"), "ban-drop-column"),
    (EXPAND, sql(f"{ALTER} VALIDATE CONSTRAINT one", f"{ALTER} ALTER COLUMN sku SET NOT NULL"),
     "adding-not-nullable-field"),
    (EXPAND, sql(f"{ALTER} ADD CONSTRAINT one CHECK (id > 0) NOT VALID", f"{ALTER} VALIDATE CONSTRAINT one"),
     "constraint-missing-not-valid"),
    (EXPAND, outside("CREATE INDEX CONCURRENTLY one ON orders (sku)"), "concurrent-index-not-repeatable"),
    (EXPAND, sql(f"{ALTER} ADD COLUMN n int") + "\n" + outside("DROP INDEX CONCURRENTLY one"), "half-committed"),
    (EXPAND, sql("CREATE TABLE a (id int)", "CREATE INDEX one ON orders (id)"), "require-concurrent-index-creation"),
    (BACKFILL, sql("UPDATE orders SET sku = 'x'"), "unbounded-write"),
    (BACKFILL, sql("UPDATE orders SET sku = ' LIMIT 1'"), "unbounded-write"),
    (BACKFILL, sql("UPDATE orders SET sku = 'x' WHERE sku IS NULL"), "unbounded-write"),
    (BACKFILL, sql("DELETE FROM orders WHERE id > 0"), "unbounded-write"),
    (BACKFILL, sql("DELETE FROM orders WHERE id > 0 AND sku < 'x'"), "unbounded-write"),
    (BACKFILL, sql("DELETE FROM orders WHERE id > 0 AND id <> 7"), "unbounded-write"),
    (BACKFILL, sql("DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT ALL)"), "unbounded-write"),
    (BACKFILL, sql(f"{ALTER} ADD COLUMN n int"), "schema-in-backfill"),
    (EXPAND, IN_BATCHES, "data-in-schema-revision"),
]


@pytest.mark.parametrize(("phase", "body", "rule"), IN_ITS_PHASE)
def test_what_is_unsafe_only_where_it_stands_is_refused_there(phase: str, body: str, rule: str, judge: Judge):
    assert judge(phase, body) == [rule]


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("String(10)", "String(20)", []),
        ("String(10)", "Text()", []),
        ("Numeric(8, 2)", "Numeric(10, 2)", []),
        ("String(20)", "String(10)", ["changing-column-type"]),
        ("Text()", "String(10)", ["changing-column-type"]),
        ("CHAR(10)", "Text()", ["changing-column-type"]),
        ("Numeric(8, 2)", "Numeric(10, 4)", ["changing-column-type"]),
        ("Integer()", "BigInteger()", ["changing-column-type"]),
    ],
)
def test_a_type_that_holds_all_of_the_old_one_is_no_rewrite(old: str, new: str, rules: list[str], judge: Judge):
    types = f"existing_type=sa.{old}, type_=sa.{new}"
    assert judge(EXPAND, f'import sqlalchemy as sa\nop.alter_column("orders", "sku", {types})') == rules


@pytest.mark.parametrize(
    "body",
    [
        'for row in op.get_bind().execute("SELECT 1"):\n    pass',
        'if op.get_bind().execute("SELECT 1"):\n    pass',
        'op.get_bind().execute("SELECT 1").scalar()',
        "import sqlalchemy as sa\nsa.inspect(op.get_bind()).get_table_names()",
        "from alembic import context\nif not context.is_offline_mode():\n    op.execute('DROP TABLE orders')",
    ],
)
def test_what_reads_the_database_is_said_to_be_beyond_judgement(body: str, judge: Judge):
    assert judge(EXPAND, body) == [OPAQUE]
    assert judge(f'{EXPAND}; lint_ignore = {{"{OPAQUE}": "reads the catalogue only"}}', body) == []
    before = sql("DROP TABLE orders")
    assert judge(EXPAND, f"{before}\n{body}") == ["ban-drop-table", OPAQUE]
