"""Migrations, run as a deployment runs them. The runner's own promises are tested with the runner."""

import ast
from uuid import UUID

import pytest

from app.main import create_app
from tests.support import ROOT, UNREACHABLE_DATABASE_URL, alembic, execute, migrate, serve, signed_in, valid_settings

INSERT_BEFORE_TENANTS = "INSERT INTO orders (id, sku, quantity) VALUES (gen_random_uuid(), '{}', 1) RETURNING sku"
"""What the release at 0001 executes."""
TENANT = UUID("00000000-0000-0000-0000-000000000001")
OWN = "UPDATE orders SET tenant_id = '00000000-0000-0000-0000-000000000001'"


@pytest.mark.control("alembic-only-schema")
@pytest.mark.processes
def test_there_is_one_head() -> None:
    assert len(alembic(UNREACHABLE_DATABASE_URL, "heads").stdout.splitlines()) == 1


@pytest.mark.processes
def test_statements_can_be_reviewed_without_a_database() -> None:
    done = alembic(UNREACHABLE_DATABASE_URL, "upgrade", "head", "--sql")
    assert done.returncode == 0
    assert "CREATE TABLE orders" in done.stdout


@pytest.mark.processes
def test_an_unreachable_database_is_one_plain_line() -> None:
    """Kubernetes keeps only the end of the output as the reason of a failed Job."""
    done = alembic(UNREACHABLE_DATABASE_URL, "upgrade", "head")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "ConnectionRefusedError" in (done.stdout + done.stderr).splitlines()[-1]


@pytest.mark.services
def test_a_second_migration_changes_nothing(empty_database_url: str) -> None:
    first, second = migrate(empty_database_url), migrate(empty_database_url)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "0001" in first.stdout
    assert "Create orders" not in second.stdout


@pytest.mark.control("alembic-only-schema")
@pytest.mark.services
def test_migrations_and_models_agree(direct_database_url: str) -> None:
    done = alembic(direct_database_url, "check")
    assert done.returncode == 0, done.stdout


@pytest.mark.services
def test_what_takes_the_runner_says_so_in_one_line_and_the_runner_goes_on(empty_database_url: str) -> None:
    """Alembic's own command wraps every revision in a transaction, which a backfill must not have."""
    done = alembic(empty_database_url, "upgrade", "head")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "python -m fastapi_platform_runtime.migrate" in (done.stdout + done.stderr).splitlines()[-1]
    assert migrate(empty_database_url).returncode == 0
    assert alembic(empty_database_url, "check").returncode == 0


@pytest.mark.control("alembic-only-schema")
def test_no_code_creates_or_changes_a_table() -> None:
    """Outside of migrations and tests: a table that appears by itself is in no history."""
    files = sorted((ROOT / "app").rglob("*.py"))
    assert len(files) > 10
    assert {str(file): found for file in files if (found := schema_changes(file.read_text()))} == {}
    assert schema_changes("Base.metadata.create_all(engine)\nexecute('create  table x ()')") != []


def schema_changes(source: str) -> list[str]:
    """Return the calls and texts in a program that change a schema."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in ("create_all", "drop_all", "CreateTable"):
            found.append(node.attr)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.upper().split()
            found += [node.value for verb in ("ALTER", "CREATE", "DROP") if words[:2] == [verb, "TABLE"]]
    return found


@pytest.mark.services
async def test_orders_of_the_release_before_tenants_survive_and_are_nobodys(empty_database_url: str) -> None:
    """Before the migration, and after it: that release still runs while this one starts."""
    assert alembic(empty_database_url, "upgrade", "0001").returncode == 0
    many = "INSERT INTO orders (id, sku, quantity) SELECT gen_random_uuid(), 'MUG-1', n FROM generate_series(1, 2500) n"
    await execute(empty_database_url, INSERT_BEFORE_TENANTS.format("CUP-1"), many)
    assert migrate(empty_database_url).returncode == 0
    unlinked = "SELECT count(*) FROM orders WHERE product_id IS NULL"
    assert await execute(empty_database_url, unlinked) == [0]
    assert await execute(empty_database_url, "SELECT sku FROM products ORDER BY sku") == ["CUP-1", "MUG-1"]
    assert await execute(empty_database_url, INSERT_BEFORE_TENANTS.format("PEN-1")) == ["PEN-1"]
    assert await execute(empty_database_url, unlinked) == [1]
    nobody = "SELECT DISTINCT tenant_id::text || status FROM orders"
    assert await execute(empty_database_url, nobody) == ["00000000-0000-0000-0000-000000000000placed"]
    invalid = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
    assert await execute(empty_database_url, invalid) == []


@pytest.mark.services
async def test_an_old_order_is_shown_to_the_tenant_it_was_given_to(database_url: str) -> None:
    settings = valid_settings(database_url=database_url)
    async with serve(create_app(settings)) as client:
        client.headers.update(signed_in(settings, tenant_id=TENANT))
        await execute(database_url, INSERT_BEFORE_TENANTS.format("PEN-1"), OWN)
        (order,) = (await client.get("/v1/orders")).json()["items"]
    assert order.items() >= {"sku": "PEN-1", "product_name": None, "status": "placed"}.items()
