"""What the platform's probes see, above all while the database is away."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import IO

import httpx
import pytest
from sqlalchemy import URL, make_url

from app.database import open_database
from app.health import dependencies
from app.main import create_app
from tests.support import UNREACHABLE_DATABASE_URL, listening, serve, valid_settings

SLOW_SECONDS = 1.0
"""Time for the dependencies that work, on a machine that has other things to do."""


@pytest.mark.control("liveness-readiness-split")
async def test_liveness_does_not_depend_on_the_database() -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.control("readiness-checks-dependencies")
async def test_readiness_names_the_unreachable_database_at_once_and_shows_no_address() -> None:
    started = time.monotonic()
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "failing": ["database"]}
    assert response.headers["Cache-Control"] == "no-store"
    assert time.monotonic() - started < 1
    assert UNREACHABLE_DATABASE_URL.partition("@")[2] not in response.text


@pytest.mark.control("readiness-checks-dependencies")
async def test_readiness_answers_in_time_when_the_database_hangs() -> None:
    """A probe that times out says nothing; the pod's log and the probe's answer must name the database."""
    connections = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    async with listening(hang) as port:
        url = f"postgresql://orders@127.0.0.1:{port}/orders?sslmode=disable"
        # With a Redis, so that no job runs in the process and connects as well.
        settings = valid_settings(database_url=url, readiness_timeout_seconds=0.2, redis_url="redis://127.0.0.1:1/0")
        async with serve(create_app(settings)) as client:
            started = time.monotonic()
            response = await client.get("/healthz/ready")
            took_seconds = time.monotonic() - started
    assert (response.status_code, connections) == (503, 1)
    assert took_seconds < 5


@pytest.mark.services
async def test_readiness_is_given_with_a_working_database(empty_database_url: str) -> None:
    """Without any migration: a schema that is ahead or behind must not take running pods out of service."""
    async with serve(create_app(valid_settings(database_url=empty_database_url))) as client:
        response = await client.get("/healthz/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.services
async def test_readiness_answers_in_time_when_a_pooled_connection_goes_dead(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that drops packets refuses nothing: pooled connections look alive and never answer."""
    network = FrailNetwork(make_url(empty_database_url))
    async with listening(network.forward) as port:
        url = make_url(empty_database_url).set(host="127.0.0.1", port=port, query={"sslmode": "disable"})
        database_url = url.render_as_string(hide_password=False)
        app = create_app(valid_settings(database_url=database_url, readiness_timeout_seconds=0.3))
        async with serve(app) as client:
            assert (await client.get("/healthz/ready")).status_code == 200
            network.works.clear()
            started = time.monotonic()
            await _until(client, 503)
            assert time.monotonic() - started < 5
            network.works.set()
            await _until(client, 200)


@pytest.mark.services
@pytest.mark.control("readiness-checks-dependencies")
@pytest.mark.parametrize("failure", ["refuses", "hangs"])
async def test_without_redis_readiness_is_given_and_says_what_is_lost(empty_database_url: str, failure: str) -> None:
    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(hang) as port:
        redis_url = f"redis://127.0.0.1:{port if failure == 'hangs' else 1}/0"
        settings = valid_settings(
            database_url=empty_database_url, redis_url=redis_url, readiness_timeout_seconds=SLOW_SECONDS
        )
        async with serve(create_app(settings)) as client:
            started = time.monotonic()
            response = await client.get("/healthz/ready")
            took_seconds = time.monotonic() - started
    assert (response.status_code, response.json()) == (200, {"status": "ok", "degraded": ["redis"]})
    assert took_seconds < SLOW_SECONDS + 1


@pytest.mark.services
@pytest.mark.control("liveness-readiness-split", "readiness-checks-dependencies")
async def test_readiness_follows_postgres_and_redis_away_and_back_and_liveness_asks_neither(
    empty_database_url: str, redis_url: str
) -> None:
    networks = [FrailNetwork(make_url(url)) for url in (empty_database_url, redis_url)]
    async with listening(networks[0].forward) as database_port, listening(networks[1].forward) as redis_port:
        url = make_url(empty_database_url).set(host="127.0.0.1", port=database_port, query={"sslmode": "disable"})
        settings = valid_settings(
            database_url=url.render_as_string(hide_password=False),
            readiness_timeout_seconds=SLOW_SECONDS,
            redis_url=f"redis://127.0.0.1:{redis_port}/0",
        )
        async with serve(create_app(settings)) as client:
            await _until(client, 200)
            for network in networks:
                network.works.clear()
            await _until(client, 503)
            answer = await client.get("/healthz/ready")
            assert answer.json() == {"status": "unavailable", "failing": ["database"], "degraded": ["redis"]}
            asked = [network.connections for network in networks]
            assert (await client.get("/healthz/live")).status_code == 200
            assert [network.connections for network in networks] == asked
            for network in networks:
                network.works.set()
            await _until(client, 200)


@pytest.mark.services
@pytest.mark.control("readiness-checks-dependencies")
async def test_a_full_scratch_disk_degrades_readiness(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)
    async with serve(create_app(valid_settings(database_url=empty_database_url))) as client:
        response = await client.get("/healthz/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "degraded": ["scratch"]})


async def test_the_check_of_the_scratch_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with open_database(valid_settings().database) as database:
        (scratch,) = [each for each in dependencies(database, None) if each.name == "scratch"]
        await scratch.check()
        assert os.listdir(tmp_path) == []
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with pytest.raises(FileNotFoundError):
            await scratch.check()


async def _until(client: httpx.AsyncClient, status: int) -> None:
    """Ask until readiness answers so; an answer is repeated for a second."""
    async with asyncio.timeout(20):
        while (await client.get("/healthz/ready")).status_code != status:
            await asyncio.sleep(0.05)


def full_disk(**_options: object) -> IO[bytes]:
    """Open a file on a disk without space, which is what Linux has this device for."""
    return open("/dev/full", "wb")


class FrailNetwork:
    """Forwards connections for as long as it works, and then says nothing."""

    def __init__(self, target: URL) -> None:
        """Lead to the host and port of an address."""
        self.connections = 0
        self.works = asyncio.Event()
        self.works.set()
        self._target = target

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        self.connections += 1
        there = await asyncio.open_connection(self._target.host, self._target.port)
        try:
            await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))
        finally:
            there[1].close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.works.wait()
            writer.write(data)
        writer.close()
