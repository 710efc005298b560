"""One throw-away Postgres for all tests of a process, and one database for each test."""

import shutil
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.runtime import postgres
from tests.runtime.postgres import Postgres


@pytest.fixture(scope="session")
def server() -> Generator[Postgres]:
    if postgres.programs() is None:
        pytest.skip(postgres.NO_POSTGRES)
    with TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        with postgres.postgres(Path(folder) / "it") as started:
            yield started


@pytest.fixture
def database(server: Postgres) -> str:
    """The address of an empty database."""
    return server.new_database()


@pytest.fixture(params=["transaction", "session"])
def pooled(server: Postgres, database: str, request: pytest.FixtureRequest) -> Generator[str]:
    """The address of the same database through PgBouncer, in one of its modes, or `tracking` prepared statements."""
    if shutil.which("pgbouncer") is None:
        pytest.skip(postgres.NO_PGBOUNCER)
    if request.param == "tracking" and not postgres.pgbouncer_tracks_statements():
        pytest.skip("needs PgBouncer 1.21 or later, which tracks prepared statements")
    with TemporaryDirectory(prefix="pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        with postgres.pgbouncer(Path(folder) / "it", server, request.param) as port:
            yield server.address(database.rpartition("/")[2], port=port)
