"""What the platform's probes see, above all while the database is away."""

import asyncio
import time

import httpx
import pytest
from sqlalchemy import make_url

from app.main import create_app
from tests.support import UNREACHABLE_DATABASE_URL, listening, serve, valid_settings


async def test_liveness_does_not_depend_on_the_database() -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_readiness_names_the_unreachable_database_at_once_and_shows_no_address() -> None:
    started = time.monotonic()
    async with serve(create_app(valid_settings())) as client:
        response = await client.get("/healthz/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "failing": ["database"]}
    assert response.headers["Cache-Control"] == "no-store"
    assert time.monotonic() - started < 1
    assert UNREACHABLE_DATABASE_URL.partition("@")[2] not in response.text


async def test_readiness_answers_in_time_when_the_database_hangs() -> None:
    """A probe that times out says nothing; the pod's log and the probe's answer must name the database."""
    connections = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    async with listening(hang) as port:
        url = f"postgresql://orders@127.0.0.1:{port}/orders?sslmode=disable"
        app = create_app(valid_settings(database_url=url, readiness_timeout_seconds=0.2))
        async with serve(app) as client:
            started = time.monotonic()
            response = await client.get("/healthz/ready")
            took_seconds = time.monotonic() - started
    assert (response.status_code, connections) == (503, 1)
    assert took_seconds < 0.5


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
    network = FrailNetwork(empty_database_url)
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


async def _until(client: httpx.AsyncClient, status: int) -> None:
    """Ask until readiness answers so; an answer is repeated for a second."""
    async with asyncio.timeout(5):
        while (await client.get("/healthz/ready")).status_code != status:
            await asyncio.sleep(0.05)


class FrailNetwork:
    """Forwards connections to Postgres for as long as it works, and then says nothing."""

    def __init__(self, database_url: str) -> None:
        """Lead to the Postgres of an address."""
        self.works = asyncio.Event()
        self.works.set()
        self._target = make_url(database_url)

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
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
