"""The routes of accounts are cut off at one common limit, over two server processes that share a Redis.

Their database is away: an attempt counts before anything is looked up.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from development.services import free_port
from tests.auth.support import PASSWORD, new_email
from tests.support import ROOT, UNREACHABLE_DATABASE_URL
from tests.test_rate_limits import forged

pytestmark = [pytest.mark.services, pytest.mark.control("rate-limit-sensitive-routes")]

SAME = "somebody@example.com"
CASES: dict[str, tuple[str, Any, int]] = {
    "sign-in-one-account": ("/v1/auth/token", lambda: {"email": SAME, "password": PASSWORD}, 10),
    "sign-in-one-account-spelled-otherwise": (
        "/v1/auth/token",
        lambda: {"email": "".join(each.upper() if os.urandom(1)[0] % 2 else each for each in SAME), "password": "x"},
        10,
    ),
    "register": ("/v1/auth/register", lambda: {"email": new_email(), "password": PASSWORD}, 10),
    "register-one-account": ("/v1/auth/register", lambda: {"email": SAME, "password": PASSWORD}, 5),
    "reset": ("/v1/auth/password-reset", lambda: {"email": new_email()}, 10),
    "reset-one-account": ("/v1/auth/password-reset", lambda: {"email": SAME}, 3),
    "confirm": ("/v1/auth/password-reset/confirmation", lambda: {"token": new_email()[:43], "password": PASSWORD}, 10),
    "refresh": ("/v1/auth/refresh", dict[str, str], 60),
    "nonsense": ("/v1/auth/password-reset", dict[str, str], 10),
}
"""Route, body of each attempt, and how many are let through."""


@contextmanager
def server(redis_url: str) -> Generator[str]:
    """Run a server process on a free port, and give its address."""
    port = free_port()
    variables = {"DATABASE_URL": UNREACHABLE_DATABASE_URL, "ENVIRONMENT": "local", "METRICS_PORT": "0"}
    command = ("fastapi_platform_runtime.serve", "app.main:create_app", "--factory", "--lame-duck", "0")
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, **variables, "REDIS_URL": redis_url},
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until_live(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_until_live(url: str) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            assert httpx.get(f"{url}/healthz/live", timeout=5).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def servers(redis_server: str) -> Generator[list[httpx.Client]]:
    """Give clients of two server processes."""
    with ExitStack() as stack:
        urls = [stack.enter_context(server(redis_server)) for _ in range(2)]
        yield [stack.enter_context(httpx.Client(base_url=url, timeout=30)) for url in urls]


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("case", CASES)
def test_attempts_over_two_processes_are_cut_off_at_one_limit(servers: list[httpx.Client], case: str) -> None:
    path, body, limit = CASES[case]
    attempts = range(limit + 4)
    answers = [servers[number % 2].post(path, json=body(), headers=forged()) for number in attempts]
    assert [answer.status_code == 429 for answer in answers] == [number >= limit for number in attempts]
    for answer in answers[limit:]:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
