"""What lives as long as the process: opened once, used by all, gone afterwards."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from app import database as database_module
from app.main import create_app
from tests.support import ROOT, execute, insert_products, serve, signed_in, valid_settings

# Every module, with a hook that sees each connection, name look-up and listening socket.
IMPORT_ALL = """
import importlib, pkgutil, sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
import app
names = [each.name for each in pkgutil.walk_packages(app.__path__, "app.")]
for name in names:
    importlib.import_module(name)
wanted = {"socket.connect", "socket.getaddrinfo", "socket.bind"}
print(len(names), sorted(wanted.intersection(opened)))
"""


@pytest.mark.control("lifespan-managed-resources")
@pytest.mark.processes
def test_importing_opens_nothing() -> None:
    words = [sys.executable, "-c", IMPORT_ALL]
    done = subprocess.run(words, capture_output=True, check=True, cwd=ROOT, text=True, timeout=120)
    count, _, opened = done.stdout.strip().partition(" ")
    assert int(count) > 20
    assert opened == "[]"


@pytest.mark.control("lifespan-managed-resources")
@pytest.mark.services
async def test_many_requests_share_one_engine_and_one_redis_and_leave_nothing_open(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: Counter[str] = Counter()
    count(monkeypatch, database_module, "create_async_engine", built)
    count(monkeypatch, Redis, "from_pool", built)
    await execute(database_url, insert_products("MUG-1"))
    built.clear()
    settings = valid_settings(database_url=database_url, redis_url=redis_url, database_pool_overflow=0)
    before = sockets()
    async with serve(create_app(settings)) as client:
        assert sockets() == before
        client.headers.update(signed_in(settings))
        body = {"sku": "MUG-1", "quantity": 1}
        for _ in range(5):
            await asyncio.gather(
                *(client.post("/v1/orders", json=body) for _ in range(5)),
                *(client.get(path) for path in ("/v1/orders", "/v1/orders/summary", "/v1/products") * 3),
            )
        assert built == {"create_async_engine": 1, "from_pool": 1}
        assert sockets() > before
    assert sockets() == before


def count(patch: pytest.MonkeyPatch, owner: Any, name: str, built: Counter[str]) -> None:
    """Count the calls of a constructor."""
    original = getattr(owner, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        built[name] += 1
        return original(*arguments, **options)

    patch.setattr(owner, name, counted)


def sockets() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
        except FileNotFoundError:
            continue
    return found
