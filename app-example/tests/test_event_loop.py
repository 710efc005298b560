"""Nothing holds the event loop: neither by waiting in it nor by computing in it."""

import asyncio
import gc
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from blockbuster import BlockBuster, BlockingError
from fastapi import FastAPI
from hypothesis import Phase, find
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from app.auth.tokens import Role
from app.flags import Flag
from app.main import create_app
from tests.support import serve, signed_in, valid_settings

pytestmark = [pytest.mark.services, pytest.mark.control("no-blocking-calls-in-async")]
HELD_SECONDS = 0.1
"""Longest computing in one step of the loop: all other requests wait for it. Counted in the thread's own CPU time,
which a busy machine does not stretch."""
PROBES = ("/healthz/live", "/healthz/ready", "/healthz/startup")
ANY = hypothesis_settings(database=None, max_examples=1000, phases=[Phase.generate])


class Held:
    """What held the loop."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.found: list[str] = []

    @contextmanager
    def watching(self) -> Generator[None]:
        """Note every blocking call, wherever its error is swallowed, and every long step of the loop."""
        found = self.found

        class Noted(BlockingError):
            def __init__(self, func: str) -> None:
                ours = [frame for frame in traceback.extract_stack() if "/app/" in frame.filename]
                found.append(f"{func} in {ours[-1] if ours else 'a library'}")
                super().__init__(func)

        run = asyncio.Handle._run  # pyright: ignore[reportUnknownVariableType, reportAttributeAccessIssue]

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            if (seconds := time.thread_time() - began) > HELD_SECONDS:
                found.append(f"{seconds:.2f} s of computing in {handle}")

        blockbuster = BlockBuster()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("blockbuster.blockbuster.BlockingError", Noted)
            patch.setattr(asyncio.Handle, "_run", timed)
            blockbuster.activate()
            # What all tests of this process have left would be searched: a service's own heap is frozen at its start.
            gc.disable()
            try:
                yield
            finally:
                gc.enable()
                blockbuster.deactivate()


def example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Make the simplest value of a schema; of an alternative the first, of an object what it requires."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components)
    if "examples" in schema:
        return schema["examples"][0]
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return example(alternatives[0], components)
    made: Any = text(schema)
    match schema.get("type"):
        case "object":
            made = {name: example(schema["properties"][name], components) for name in schema.get("required", [])}
        case "array":
            made = [example(schema["items"], components)] * schema.get("minItems", 0)
        case "integer" | "number":
            made = int(schema.get("minimum", 1))
        case "boolean":
            made = True
        case _:
            pass
    return schema.get("const", schema.get("enum", [made])[0])


def text(schema: dict[str, Any]) -> str:
    """Make a text of a format, a pattern or a length."""
    formats = {"uuid": str(uuid4()), "email": f"{uuid4().hex}@example.com", "date-time": "2026-11-21T12:00:00Z"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    if pattern := schema.get("pattern"):
        shortest = schema.get("minLength", 1)
        matching = st.from_regex(str(pattern), fullmatch=True)
        return find(matching, lambda value: len(value.strip()) >= shortest, settings=ANY)
    return "example text long enough for a password"[: schema.get("maxLength", 100)].ljust(schema.get("minLength", 1))


def requests(app: FastAPI) -> dict[str, dict[str, Any]]:
    """Make one request for every operation of the description, and for every probe."""
    description = app.openapi()
    components = description["components"]["schemas"]
    made = {f"GET {path}": {"method": "GET", "url": path} for path in PROBES}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            url = path
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    url = url.replace(f"{{{parameter['name']}}}", str(example(parameter["schema"], components)))
            request: dict[str, Any] = {"method": method.upper(), "url": url}
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                request["json"] = example(content["application/json"]["schema"], components)
            elif "application/x-www-form-urlencoded" in content:
                request["data"] = example(content["application/x-www-form-urlencoded"]["schema"], components)
            elif "multipart/form-data" in content:
                request["files"] = {"file": ("picture.png", b"\x89PNG\r\n\x1a\n", "image/png")}
            made[f"{request['method']} {path}"] = request
    return made


async def test_no_route_holds_the_event_loop(database_url: str, redis_url: str) -> None:
    """Every route is called twice; computing counts at the second call, when all is imported and compiled."""
    settings = valid_settings(database_url=database_url, redis_url=redis_url)
    app = create_app(settings)
    everything = requests(app)
    assert len(everything) >= len(PROBES) + 10
    async with Redis.from_url(redis_url) as redis:
        await redis.set("flags:assistant", Flag(percent=100).model_dump_json())
    async with serve(app) as client:
        client.headers.update(signed_in(settings, role=Role.ADMIN))
        for request in everything.values():
            await client.request(**request)
        for name, request in everything.items():
            held = Held()
            with held.watching():
                # A task of its own: the step of the loop that is running now is not timed.
                response = await asyncio.create_task(client.request(**request))
            assert held.found == [], name
            assert response.status_code < 500, (name, response.text)
            assert '"errors":' not in response.text, (
                f"{name}: give its schema an example that is valid: {response.text}"
            )


async def test_the_watch_sees_both_ways_of_holding_the_loop() -> None:
    """Without this, a watch that sees nothing would look like an application that does nothing wrong."""
    app = FastAPI()

    @app.get("/waits")
    async def waits() -> str:
        time.sleep(0.01)  # noqa: ASYNC251
        return "waited"

    @app.get("/computes")
    async def computes() -> str:
        until = time.thread_time() + 2 * HELD_SECONDS
        while time.thread_time() < until:
            pass
        return "computed"

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
        for path, seen in (("/waits", "time.sleep"), ("/computes", "of computing")):
            held = Held()
            with held.watching():
                await asyncio.create_task(client.get(path))
            assert any(seen in found for found in held.found), (path, held.found)
