"""The end of a worker: what runs is finished or given back."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app import heartbeat
from tests.support import ROOT, execute
from tests.workers import PATIENCE_SECONDS, Office, locked, office, running, worker


@pytest.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service with Redis, whose workers the test starts."""
    async with office(database_url, redis_url, tmp_path) as service:
        yield service


@pytest.mark.services
@pytest.mark.control("graceful-drain")
async def test_a_job_in_progress_is_finished_before_the_end(
    desk: Office, direct_database_url: str, tmp_path: Path
) -> None:
    with worker(desk, tmp_path / "log") as only:
        async with locked(direct_database_url, "orders", "ACCESS EXCLUSIVE"):
            path = await desk.request()
            await running(desk, path)
            only.process.terminate()
            only.wait_for("worker stops")
            late = await desk.request()
        assert only.process.wait(PATIENCE_SECONDS) == 0
    assert (await desk.status(path))["status"] == "done"
    assert (await desk.status(late))["status"] == "queued"
    assert only.messages()[-1] == "worker stopped"


@pytest.mark.services
@pytest.mark.control("graceful-drain", "long-work-in-queue")
async def test_a_job_that_needs_longer_goes_back_to_the_queue(
    desk: Office, direct_database_url: str, tmp_path: Path
) -> None:
    with worker(desk, tmp_path / "first", grace_seconds=0.5) as first:
        async with locked(direct_database_url, "orders", "ACCESS EXCLUSIVE"):
            path = await desk.request()
            await running(desk, path)
            assert first.terminate() == 0
            assert (await desk.status(path))["status"] == "queued"
    assert first.outcomes() == ["released"]
    assert await execute(desk.database_url, "SELECT attempts FROM exports") == [0]
    with worker(desk, tmp_path / "second"):
        assert (await desk.final(path))["status"] == "done"


@pytest.mark.services
async def test_a_second_signal_ends_a_worker_at_once(desk: Office, direct_database_url: str, tmp_path: Path) -> None:
    with worker(desk, tmp_path / "log") as only:
        async with locked(direct_database_url, "orders", "ACCESS EXCLUSIVE"):
            await running(desk, await desk.request())
            only.process.terminate()
            only.wait_for("worker stops")
            assert only.terminate() == 143


@pytest.mark.parametrize(("age_seconds", "status"), [(None, 1), (0, 0), (heartbeat.MAX_AGE_SECONDS + 1, 1)])
def test_a_worker_is_healthy_while_its_loop_turns(tmp_path: Path, age_seconds: int | None, status: int) -> None:
    if age_seconds is not None:
        (tmp_path / heartbeat.NAME).touch()
        moment = time.time() - age_seconds
        os.utime(tmp_path / heartbeat.NAME, (moment, moment))
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app.worker", "--healthy"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
        timeout=60,
    )
    assert asked.returncode == status
    assert asked.stdout == ""
    # It runs twice a minute in every pod.
    assert not [line for line in asked.stderr.splitlines() if "sqlalchemy" in line or "fastapi" in line]


@pytest.mark.services
def test_a_worker_that_runs_is_healthy(direct_database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": direct_database_url,
        "ENVIRONMENT": "local",
        "METRICS_PORT": "0",
        "REDIS_URL": redis_url,
        "TMPDIR": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "app.worker"], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (tmp_path / heartbeat.NAME).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
