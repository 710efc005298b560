"""`python -m development.demo`: the whole service on this machine, until Ctrl-C.

Owns the order in which its parts start and stop, and what to try. Postgres, PgBouncer and Redis come from
`development.services`; migrations run through the runner, directly; the API and the worker run as in production, the
API through the pooler. Deliberately keeps nothing: every start is a new database.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import IO, cast

from development import services

ROOT = Path(__file__).parent.parent
READY_SECONDS = 30
STOP_SECONDS = 40
"""For the lame duck, requests in progress and jobs."""

NO_SERVICES = """\
The demo runs a Postgres, a PgBouncer and a Redis of its own, and something is missing:
{missing}
With Docker there is another way: docker compose --file app-example/compose.yaml up --build"""

IN_USE = """\
Something listens on port {port} of this machine already, perhaps another demo. Stop it, or choose another port:
  make demo DEMO='--port {other}'"""

WELCOME = """
The service is ready. Three lines to try in another terminal, the first signs you in:

  {token}
  curl {url}/v1/products/MUG-1 --request PUT --header "Authorization: Bearer $TOKEN" --json '{product}'
  curl {url}/v1/orders --header "Authorization: Bearer $TOKEN" --json '{order}'

All it can do: {url}/docs. What it measures: http://127.0.0.1:{metrics_port}/metrics.
Ctrl-C stops everything and leaves nothing behind; a second one does not wait."""
FIRST_FLAG = ("app.flags", "set", "assistant", "--percent", "100")
"""The assistant answers nobody before."""
EMAIL = "demo@example.com"
PRODUCT = '{"name": "Mug", "price_cents": 900}'
ORDER = '{"sku": "MUG-1", "quantity": 2}'


class NotStartedError(RuntimeError):
    """A part ended before it was ready; the message names it."""


class Stop:
    """Remembers that somebody wants the demo to end; at a second signal its parts get no time to."""

    def __init__(self) -> None:
        """Listen for Ctrl-C and for what a service manager sends."""
        self.wanted = False
        self.at_once = False
        self._processes: list[subprocess.Popen[bytes]] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._want)

    def kills(self, process: "subprocess.Popen[bytes]") -> None:
        """Take note of a process, in a session of its own, that a second signal ends."""
        self._processes.append(process)

    def _want(self, _number: int, _frame: FrameType | None) -> None:
        # Whatever happens, the demo itself goes on to its end: it stops the servers and takes their data away.
        self.wanted, self.at_once = True, self.wanted
        for process in self._processes if self.at_once else ():
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C.

    Returns:
        0 after a clean stop, 1 when something is missing, did not start or ended by itself, 2 for wrong usage.
    """
    options = _parser().parse_args(argv)
    if missing := services.missing():
        _say(NO_SERVICES.format(missing="\n".join(f"  {each}" for each in missing)))
        return 1
    if not _is_free(options.port):
        _say(IN_USE.format(port=options.port, other=services.free_port()))
        return 1
    stop = Stop()
    try:
        with ExitStack() as stack:
            _run(stack, stop, options.port)
    except NotStartedError as exc:
        if not stop.wanted:
            _say(str(exc))
            return 1
    return 0


def _run(stack: ExitStack, stop: Stop, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    environment = _environment(stack)
    password = secrets.token_urlsafe(12)
    direct = {**environment, "DATABASE_URL": environment["DIRECT_URL"]}
    _once("the migration", stop, direct, "fastapi_platform_runtime.migrate")
    _once("the first flag", stop, environment, *FIRST_FLAG)
    _once("the first account", stop, environment, "app.auth.accounts", "create-admin", EMAIL, told=password)
    if stop.wanted:
        return
    processes = {
        "the API": stack.enter_context(_child(stop, environment, *_serve(port))),
        "the worker": stack.enter_context(_child(stop, {**environment, "METRICS_PORT": "0"}, "app.worker")),
    }
    _wait_until_ready(processes, stop, url)
    if not stop.wanted:
        _say(_welcome(url, password, environment["METRICS_PORT"]))
    while not stop.wanted:
        _all_run(processes)
        time.sleep(0.2)
    _say("Stopping: the API tells its clients to leave, the worker finishes its jobs.")


def _environment(stack: ExitStack) -> dict[str, str]:
    _say("Starting Postgres, PgBouncer and Redis")
    postgres = stack.enter_context(services.postgres())
    pooler = stack.enter_context(services.pgbouncer(postgres))
    redis = stack.enter_context(services.redis())
    storage = stack.enter_context(TemporaryDirectory(prefix="orders-storage-"))
    temporary = stack.enter_context(TemporaryDirectory(prefix="orders-temporary-"))
    tracked = {} if services.pgbouncer_tracks_statements() else NO_TRACKED_STATEMENTS
    return {
        "DATABASE_URL": postgres.url(port=pooler),
        "DIRECT_URL": postgres.url(),
        "ENVIRONMENT": "local",
        "METRICS_PORT": str(services.free_port()),
        "REDIS_URL": redis,
        "SIGNING_KEYS": f"demo:{secrets.token_urlsafe(32)}",
        "STORAGE_URL": f"file://{storage}",
        "TMPDIR": temporary,
        **tracked,
    }


NO_TRACKED_STATEMENTS = {"DATABASE_POOLER_PREPARED_STATEMENTS": "0", "DATABASE_STATEMENT_CACHE_SIZE": "0"}
"""For a PgBouncer before 1.21: no statement outlives its transaction."""


def _serve(port: int) -> tuple[str, ...]:
    return (
        "fastapi_platform_runtime.serve",
        "app.main:create_app",
        "--factory",
        "--port",
        str(port),
        "--lame-duck",
        "1",
    )


def _welcome(url: str, password: str, metrics_port: str) -> str:
    credentials = json.dumps({"email": EMAIL, "password": password})
    read = """python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'"""
    token = f"TOKEN=$(curl --silent {url}/v1/auth/token --json '{credentials}' | {read})"
    return WELCOME.format(url=url, token=token, product=PRODUCT, order=ORDER, metrics_port=metrics_port)


def _once(what: str, stop: Stop, environment: Mapping[str, str], *module: str, told: str = "") -> None:
    if stop.wanted:
        return
    with _child(stop, environment, *module, told=told) as process:
        while process.poll() is None and not stop.wanted:
            time.sleep(0.05)
    if process.returncode:
        raise NotStartedError(f"{what} ended with status {process.returncode}; the line above says why")


@contextmanager
def _child(
    stop: Stop, environment: Mapping[str, str], *module: str, told: str = ""
) -> Generator["subprocess.Popen[bytes]"]:
    # In a session of its own: a Ctrl-C in the terminal is for the demo, which stops its parts in order.
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, **environment},
        start_new_session=True,
        stdin=subprocess.PIPE,
    )
    stop.kills(process)
    try:
        with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as words:
            words.write(told.encode())
        yield process
    finally:
        process.send_signal(signal.SIGKILL if stop.at_once else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(processes: Mapping[str, "subprocess.Popen[bytes]"], stop: Stop, url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not stop.wanted:
        _all_run(processes)
        with (
            suppress(OSError, HTTPException),
            urllib.request.urlopen(f"{url}/healthz/ready", timeout=2),
        ):
            return
        if time.monotonic() > deadline:
            raise NotStartedError(f"the API is not ready after {READY_SECONDS} seconds; its log is above")
        time.sleep(0.1)


def _all_run(processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            raise NotStartedError(f"{name} ended with status {process.returncode}; its log is above")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return True
    return False


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text}, want a TCP port from 1 to 65535")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m development.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=_port, default=8000, help="TCP port of the API on loopback (%(default)s)")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
