"""A database that does not answer, or not in time: every run ends and says why."""

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest

from fastapi_platform_runtime.outcome import Outcome
from tests.runtime.postgres import CREATE, CURRENT, Postgres, image, migrate, query

pytestmark = pytest.mark.services

_driver: Any = asyncpg


@dataclass
class Network:
    """One that breaks once a client says something: that and all that follows is lost, and nobody is told."""

    port: int
    """Of its near end."""
    broken: bool = False

    def relay(self, source: socket.socket, target: socket.socket, last_words: bytes) -> None:
        while received := source.recv(65536):
            self.broken = self.broken or last_words in received
            if not self.broken:
                target.sendall(received)


@contextmanager
def falling_silent(port: int, last_words: bytes) -> Generator[Network]:
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        network = Network(listener.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                far = socket.create_connection(("127.0.0.1", port))
                opened.extend((near, far))
                for each in ((near, far, last_words), (far, near, b"\0never\0")):
                    threading.Thread(target=network.relay, args=each, daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield network
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in opened:
                each.shutdown(socket.SHUT_RDWR)
                each.close()


@pytest.mark.parametrize("mode", ["run", "verify"])
def test_a_database_that_is_silent_after_the_login_is_not_waited_for(
    mode: str, server: Postgres, database: str, tmp_path: Path
):
    """As a pooler is whose Postgres is away: it lets the client in, and has nobody to ask."""
    began = time.monotonic()
    with falling_silent(server.port, b"pg_backend_pid") as network:
        address = database.replace(f":{server.port}/", f":{network.port}/")
        done = migrate(address, image(tmp_path, CREATE), mode, "--connect-timeout", "1")
    assert (done.status, "no answer" in done.last) == (Outcome.UNREACHABLE, True)
    assert time.monotonic() - began < 25


def test_a_statement_whose_answer_never_comes_ends_the_run(server: Postgres, database: str, tmp_path: Path):
    with falling_silent(server.port, b"CREATE TABLE orders") as network:
        address = database.replace(f":{server.port}/", f":{network.port}/")
        done = migrate(address, image(tmp_path, CREATE), "--statement-timeout", "1")
    said = "revision 0001, line 8: the database did not answer within 6 s; what it did is not known, run again"
    assert (done.status, done.last) == (Outcome.FAILED, said)
    assert migrate(database, tmp_path).status == 0


@pytest.mark.parametrize("mode", ["run", "verify"])
def test_a_locked_version_table_is_called_locked(mode: str, database: str, tmp_path: Path):
    assert migrate(database, image(tmp_path, CREATE)).status == 0

    async def main() -> Any:
        other = await _driver.connect(dsn=database)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE alembic_version")
        done = await asyncio.to_thread(migrate, database, tmp_path, mode, "--lock-timeout", "0.5")
        await other.close()
        return done

    done = asyncio.run(main())
    assert (done.status, "stayed locked" in done.last) == (Outcome.LOCKED, True)
    assert query(database, CURRENT) == ["0001"]
