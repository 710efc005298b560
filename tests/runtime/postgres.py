"""A throw-away Postgres and PgBouncer, and images as a migration sees them: folders of revisions."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from tests.runtime.servers import free_port

PASSWORD = "hunter2-and-a-half"
NO_POSTGRES = "needs Postgres' programs: apt-get install postgresql"
NO_PGBOUNCER = "needs PgBouncer: apt-get install pgbouncer"
USER = "postgres" if os.getuid() == 0 else None
"""Who runs the servers: Postgres refuses root."""
CREATE = 'phase = "expand"|op.execute("CREATE TABLE orders (id int)")'
SLOW = 'phase = "expand"|op.execute("CREATE TABLE half (id int)"); op.execute("SELECT pg_sleep(3)")'
CURRENT = "SELECT version_num FROM alembic_version"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_driver: Any = asyncpg


def programs() -> Path | None:
    """The newest installed Postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


@dataclass(frozen=True)
class Postgres:
    port: int
    databases: list[str] = field(default_factory=list[str])

    def address(self, database: str, *, port: int | None = None, password: str = PASSWORD) -> str:
        return f"postgresql://postgres:{password}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"it_{len(self.databases)}"
        self.databases.append(name)
        query(self.address("postgres"), f"CREATE DATABASE {name}")
        return self.address(name)


@contextmanager
def postgres(folder: Path, certificate: Path | None = None) -> Generator[Postgres]:
    """Start a server, with TLS when there is a certificate with its key beside it, and stop it."""
    bin_ = programs()
    assert bin_ is not None
    folder.mkdir(exist_ok=True)
    (folder / "password").write_text(PASSWORD)
    if USER:
        shutil.chown(folder, USER)
    server, data = Postgres(free_port()), str(folder / "data")
    options = f"-p {server.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
    if certificate:
        for each in (certificate, certificate.with_suffix(".key")):
            shutil.copy(each, folder)
            if USER:
                shutil.chown(folder / each.name, USER)
        (folder / certificate.with_suffix(".key").name).chmod(0o600)
        own = folder / certificate.name
        options += f" -c ssl=on -c ssl_cert_file={own} -c ssl_key_file={own.with_suffix('.key')}"
    _run(bin_ / "initdb", "-A", "scram-sha-256", "-U", "postgres", f"--pwfile={folder}/password", "-D", data)
    _run(bin_ / "pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield server
    finally:
        _run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")


@contextmanager
def pgbouncer(folder: Path, server: Postgres, mode: str) -> Generator[int]:
    """Start a pooler in front of a server, and give its port."""
    port = free_port()
    pooling = "pool_mode = transaction\nmax_prepared_statements = 100" if mode == "tracking" else f"pool_mode = {mode}"
    folder.mkdir()
    (folder / "users").write_text(f'"postgres" "{PASSWORD}"\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {folder}/users\n{pooling}\n"
    )
    if USER:
        shutil.chown(folder, USER)
    process = subprocess.Popen(["pgbouncer", "-q", folder / "ini"], user=USER, stderr=subprocess.DEVNULL)
    try:
        _listening(port)
        yield port
    finally:
        process.kill()
        process.wait()


def pgbouncer_tracks_statements() -> bool:
    """Whether the installed one knows prepared statements in transaction mode, which is from 1.21 on."""
    told = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True)
    major, minor = re.findall(r"\d+", told.stdout)[:2]
    return (int(major), int(minor)) >= (1, 21)


def _listening(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def query(address: str, *statements: str) -> list[Any]:
    """Run statements, and give the first column of the last one's rows."""

    async def main() -> list[Any]:
        connection = await _driver.connect(dsn=address)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [row[0] for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return asyncio.run(main())


def image(folder: Path, *revisions: str) -> Path:
    """An image with revisions 0001, 0002, …, each given as the lines of its declarations and the body of `upgrade`."""
    versions = folder / "migrations" / "versions"
    shutil.rmtree(versions, ignore_errors=True)
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    for number, source in enumerate(revisions, start=1):
        declarations, _, body = source.rpartition("|")
        lines = "\n    ".join(body.strip().splitlines())
        (versions / f"{number:04}.py").write_text(
            f'"""Step {number}."""\nimport time\nfrom alembic import op\nrevision = "{number:04}"\n'
            f"down_revision = {f'{number - 1:04}' if number > 1 else None!r}\n{declarations}\n"
            f"def upgrade():\n    {lines}\n"
        )
    return folder


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(frozen=True)
class Ended:
    status: int
    lines: list[dict[str, Any]]
    error_output: str

    @property
    def last(self) -> str:
        return self.lines[-1]["message"]


def start(address: str, folder: Path, *options: str) -> "subprocess.Popen[str]":
    """A runner, as a Job starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "fastapi_platform_runtime.migrate", *options],
        cwd=folder, env={**os.environ, "DATABASE_URL": address}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[str]", timeout_seconds: float = 60) -> Ended:
    """Wait for a runner, and hold it to what is true of every run: JSON lines, a short last one, no secret."""
    out, err = process.communicate(timeout=timeout_seconds)
    assert PASSWORD not in out + err
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines].index("end") == len(lines) - 1
    assert len(out.splitlines()[-1].encode()) < 2048
    assert lines[-1]["exit_status"] == process.returncode
    return Ended(process.returncode, lines, err)


def migrate(address: str, folder: Path, *options: str) -> Ended:
    return ended(start(address, folder, *options))


def _run(*words: str | Path) -> None:
    subprocess.run(words, user=USER, cwd="/", check=True, capture_output=True, timeout=60)
