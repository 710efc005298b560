"""The one client of the process, and the lint that keeps it the only one."""

import subprocess
import sys
from collections import Counter
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.outbound import Outbound
from tests.live import OK, Upstream
from tests.support import ROOT, listening, valid_settings


@pytest.mark.control("lifespan-managed-resources")
async def test_many_calls_share_one_client_and_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    built = Counter[str]()
    make = httpx.AsyncClient.__init__

    def counted(self: httpx.AsyncClient, *arguments: Any, **options: Any) -> None:
        built["clients"] += 1
        make(self, *arguments, **options)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", counted)
    upstream = Upstream(OK)
    app = create_app(valid_settings())
    assert not built
    async with listening(upstream.converse) as port:
        async with app.router.lifespan_context(app) as state:
            outbound: Outbound = dict(state or {})["outbound"]
            for _ in range(20):
                await outbound.call("stub", "GET", f"http://127.0.0.1:{port}/")
            assert not outbound.is_closed
        assert outbound.is_closed
    assert built["clients"] == 1
    assert (len(upstream.requests), upstream.connections) == (20, 1)


@pytest.mark.control("lifespan-managed-resources")
@pytest.mark.processes
def test_importing_the_application_connects_to_nothing_and_starts_nothing() -> None:
    watched = """
import sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event in ("socket.connect", "subprocess.Popen") else None)
import app.main
assert not opened, opened
"""
    done = run("-c", watched)
    assert done.returncode == 0, done.stderr


@pytest.mark.control("outbound-timeouts")
@pytest.mark.parametrize(
    "line",
    ["httpx.AsyncClient()", "httpx.Client()", 'httpx.get("http://other.test")', 'urllib.request.urlopen("http://x")'],
)
def test_the_lint_refuses_clients_that_do_not_have_our_limits(line: str) -> None:
    source = f"import urllib.request\n\nimport httpx\n\n{line}\n"
    assert "TID251" in lint(source, "app/orders/service.py").stdout
    assert "TID251" not in lint("import httpx\n\nhttpx.AsyncClient()\n", "app/outbound.py").stdout


@pytest.mark.control("no-blocking-calls-in-async")
def test_the_lint_refuses_blocking_calls_in_coroutines() -> None:
    source = 'import time\n\n\nasync def work() -> None:\n    """Wait."""\n    time.sleep(1)\n'
    assert "ASYNC251" in lint(source, "app/orders/service.py").stdout


def lint(source: str, path: str) -> subprocess.CompletedProcess[str]:
    """Judge a source as if it lay at a path of this project."""
    return run("-m", "ruff", "check", "--stdin-filename", path, "-", source=source)


def run(*arguments: str, source: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in this project."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, cwd=ROOT, input=source, text=True, timeout=60
    )
