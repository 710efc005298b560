"""The end of a worker: what runs is finished or given back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app import heartbeat
from app.main import STARTUP_FAILURE
from development import services
from tests.support import ROOT, UNREACHABLE_DATABASE_URL, execute
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
        assert only.process.wait(120) == 0
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


@pytest.mark.processes
@pytest.mark.control("settings-validated-at-startup")
@pytest.mark.parametrize(("name", "value"), [("SENTRY_DSN", "https://hunter2"), ("REDIS_URL", "hunter2")])
def test_a_worker_that_cannot_start_says_so_in_one_line(name: str, value: str) -> None:
    environment = {**os.environ, "ENVIRONMENT": "local", "DATABASE_URL": UNREACHABLE_DATABASE_URL, name: value}
    words = [sys.executable, "-m", "app.worker"]
    ended = subprocess.run(
        words, capture_output=True, check=False, cwd=ROOT, env=environment, text=True, timeout=PATIENCE_SECONDS
    )
    assert (ended.returncode, ended.stderr) == (STARTUP_FAILURE, "")
    (line,) = map(json.loads, ended.stdout.splitlines())
    assert line["message"].startswith(f"cannot start: {name}: ")
    assert "hunter2" not in ended.stdout


@pytest.mark.services
async def test_a_worker_that_runs_is_healthy_and_scraped(desk: Office, tmp_path: Path) -> None:
    port = services.free_port()
    desk.environment["METRICS_PORT"] = str(port)
    with worker(desk, tmp_path / "log") as only:
        await desk.final(await desk.request())
        only.wait_for('"outcome"')
        async with httpx.AsyncClient() as prometheus:
            figures = (await prometheus.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
        assert (tmp_path / heartbeat.NAME).exists()
        assert only.terminate() == 0
    assert {"jobs_queued 0.0", "jobs_running 0.0", "jobs_oldest_waiting_seconds 0.0"} <= set(figures)
    assert 'jobs_total{job="exports.run",outcome="done"} 1.0' in figures
