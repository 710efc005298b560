"""Migrations, run as a deployment runs them. The runner's own promises are tested with the runner."""

import pytest

from tests.support import UNREACHABLE_DATABASE_URL, alembic, migrate


def test_there_is_one_head() -> None:
    assert len(alembic(UNREACHABLE_DATABASE_URL, "heads").stdout.splitlines()) == 1


def test_statements_can_be_reviewed_without_a_database() -> None:
    done = alembic(UNREACHABLE_DATABASE_URL, "upgrade", "head", "--sql")
    assert done.returncode == 0
    assert "CREATE TABLE orders" in done.stdout


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
