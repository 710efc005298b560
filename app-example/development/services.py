"""Throw-away Postgres, PgBouncer and Redis on loopback, from the programs that are installed.

Owns finding the programs, starting and stopping them, and saying what is missing. Each listens on a free port and
keeps its data in a folder that goes with it. Used by `python -m development.demo` and by the tests. Deliberately no
containers: `compose.yaml` is for those who have them.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "only-on-this-machine"
"""The superuser's; Postgres listens on loopback."""
PGBOUNCER = ("pgbouncer", "pgbouncer")
REDIS = ("redis-server", "redis-server")
"""Program and Debian package."""
START_SECONDS = 20
ACCOUNT = "postgres" if os.getuid() == 0 else None
"""Who runs the servers: Postgres refuses root."""


class MissingProgramError(RuntimeError):
    """A program is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs, but for the time in which it is stopped on purpose."""

    port: int
    folder: Path

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Return the address of a database, through another port where one leads there too."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it accepts connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200 -k {self.folder}"
        self._control("-l", str(self.folder / "log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop it at once, as a crash does: every connection ends."""
        self._control("-m", "immediate", "stop")

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Be without it for a while; it keeps its port and what was committed."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _control(self, *words: str) -> None:
        _run(_postgres_programs() / "pg_ctl", "-D", str(self.folder / "data"), *words)


@contextmanager
def postgres(port: int | None = None) -> Generator[Postgres]:
    """Start a Postgres, and stop it.

    Raises:
        MissingProgramError: It is not installed.
    """
    initdb = _postgres_programs() / "initdb"
    with _folder() as folder:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        _run(initdb, "-A", "scram-sha-256", "-U", "postgres", f"--pwfile={folder}/password", "-D", str(folder / "data"))
        server = Postgres(port or free_port(), folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def pgbouncer(server: Postgres, port: int | None = None) -> Generator[int]:
    """Start a PgBouncer in transaction mode before a Postgres, and give its port.

    Raises:
        MissingProgramError: It is not installed.
    """
    program = _program(*PGBOUNCER)
    port = port or free_port()
    with _folder() as folder:
        (folder / "users").write_text(f'"postgres" "{PASSWORD}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {folder}/users\n"
            "pool_mode = transaction\ndefault_pool_size = 10\nmax_client_conn = 500\nserver_login_retry = 2\n"
        )
        with _process(program, "-q", str(folder / "ini"), port=port):
            yield port


@contextmanager
def redis(port: int | None = None) -> Generator[str]:
    """Start a Redis that keeps what it is told, and give its address.

    Raises:
        MissingProgramError: It is not installed.
    """
    program = _program(*REDIS)
    port = port or free_port()
    with _folder() as folder:
        options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes")
        with _process(program, *options, port=port):
            yield f"redis://127.0.0.1:{port}/0"


def missing() -> list[str]:
    """Return what is not installed, each with how to get it; empty when all of it is there."""
    problems: list[str] = []
    for find in (_postgres_programs, lambda: _program(*PGBOUNCER), lambda: _program(*REDIS)):
        try:
            find()
        except MissingProgramError as exc:
            problems.append(str(exc))
    return problems


def pgbouncer_tracks_statements() -> bool:
    """Whether the installed PgBouncer knows prepared statements in transaction mode, which is from 1.21 on."""
    told = _run(_program(*PGBOUNCER), "--version")
    major, minor = re.findall(r"\d+", told)[:2]
    return (int(major), int(minor)) >= (1, 21)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def _process(*words: str, port: int) -> Generator[None]:
    # In a session of its own: a Ctrl-C is for whoever started the services, who stops them in their order.
    process = subprocess.Popen(
        words,
        cwd="/",
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        user=ACCOUNT,
    )
    try:
        _wait_until_listening(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args} does not listen on port {port}")


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="orders-") as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "service"
        folder.mkdir()
        if ACCOUNT:
            shutil.chown(folder, ACCOUNT)
        yield folder


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else Path(_program("initdb", "postgresql")).parent


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise MissingProgramError(f"there is no {name} here: apt-get install {package}")
    return found


def _run(*words: str | Path) -> str:
    # In a session of its own, as the servers are: a Ctrl-C would end it half done.
    done = subprocess.run(
        words, user=ACCOUNT, cwd="/", check=True, capture_output=True, start_new_session=True, text=True, timeout=60
    )
    return done.stdout
