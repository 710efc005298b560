"""What an application does, seen from within a process of its own.

Owns the observations that `check` judges: one application is loaded with this process's environment, asked a few
requests without a server, and what came back is written down as JSON. Deliberately judges nothing, and imports of the
platform's own only what every image has. The application's words are written down as they are; `check` shows none.

Run by `check`: `python -m fastapi_platform_runtime.inspection`, with a JSON request on stdin.
"""

import asyncio
import inspect
import json
import os
import sys
import sysconfig
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ANSWER_SECONDS = 5.0
LIFESPAN_SECONDS = 15.0
PEER = "203.0.113.7"
"""A peer that nobody trusts: an address of the documentation's."""
FORGED = "198.51.100.66"
POD = "10.0.0.7:8000"
"""The kubelet asks by address, not by name."""
SEEN_PATH = "/fastapi-platform-runtime-check"
_DOCS = ("/docs", "/redoc", "/openapi.json")
_OUTSIDE = ("socket.connect", "socket.getaddrinfo")


class NotThere(LookupError):
    """What a command line names does not exist."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int | None = None
    """None when nothing came back in time."""
    error: str | None = None
    """Type of what the application raised."""
    body: str = ""
    touched: list[str] = field(default_factory=list[str])
    """What it reached for outside the process."""


@dataclass(slots=True)
class Observed:
    """One application."""

    not_there: str | None = None
    """What was named and does not exist."""
    failed: str | None = None
    """Type of what kept it from loading."""
    said: str = ""
    """All that it said about that."""
    lifespan_failed: str | None = None
    probes: dict[str, Answer] = field(default_factory=dict[str, Answer])
    docs: dict[str, Answer] = field(default_factory=dict[str, Answer])
    described: list[str] | None = None
    """Paths of its API description; none when it has none to ask for."""
    seen: dict[str, Any] | None = None
    """What a route saw of a request with forged headers; none when it was not reached."""
    seen_status: int | None = None
    trusts_everyone: bool = False
    """Whether uvicorn's middleware for proxies is installed and believes any peer."""
    files: list[str] = field(default_factory=list[str])
    """Its own modules that were imported."""


def main() -> int:
    """Observe one application; the request says which, and where the answer goes."""
    request: dict[str, Any] = json.loads(sys.stdin.read())
    sys.path.insert(0, os.getcwd())
    observed = Observed()
    try:
        app = load(request["app"], request["factory"])
    except NotThere as exc:
        observed.not_there = str(exc)
    except BaseException as exc:
        observed.failed = type(exc).__name__
        observed.said = "\n".join(map(str, _chain(exc)))
    else:
        asyncio.run(_observe(app, request["probes"], request["host"], observed))
    observed.files = _own_files()
    Path(request["answer"]).write_text(json.dumps(asdict(observed)))
    return 0


def load(name: str, factory: bool | None) -> Any:
    """Import an application, or its factory and call it.

    Args:
        name: `module:attribute`.
        factory: Whether the attribute makes the application; none to tell by whether it is a plain function that can
            be called without arguments.

    Raises:
        NotThere: There is no such module or attribute.
    """
    module, _, attributes = name.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as exc:
        if not f"{module}.".startswith(f"{exc.name}."):
            raise
        raise NotThere(f"there is no module {exc.name} here") from exc
    for each in attributes.split("."):
        if not hasattr(found, each):
            raise NotThere(f"there is no {attributes} in {module}")
        found = getattr(found, each)
    if factory is None:
        factory = inspect.isroutine(found) and not any(
            each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
            for each in inspect.signature(found).parameters.values()
        )
    return found() if factory else found


@dataclass(slots=True)
class Client:
    """Asks an application without a server."""

    app: Any
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the lifespan hands to requests."""

    async def ask(self, path: str, *headers: tuple[str, str], host: str = POD) -> Answer:
        """One request, from a peer that nobody trusts."""
        status: int | None = None
        body = b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        named = [(name.lower().encode(), value.encode()) for name, value in (("host", host), *headers)]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": named,
            "client": (PEER, 40000), "server": ("10.0.0.7", 8000), "state": dict(self.state),
        }
        error: str | None = None
        with _watch() as touched:
            try:
                await asyncio.wait_for(self.app(scope, receive, send), ANSWER_SECONDS)
            except Exception as exc:
                error = type(exc).__name__
        return Answer(status, error, body.decode(errors="replace"), sorted(set(touched)))

    @asynccontextmanager
    async def lifespan(self, observed: Observed) -> AsyncGenerator[None]:
        """Start the application, whether it works or not, and stop it."""
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        running = asyncio.create_task(_returning(self.app(scope, inbox.get, said.put)))
        inbox.put_nowait({"type": "lifespan.startup"})
        answer = asyncio.create_task(said.get())
        await asyncio.wait({running, answer}, timeout=LIFESPAN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"] == "lifespan.startup.failed":
            await asyncio.wait({running}, timeout=1)
            observed.lifespan_failed = running.result() if running.done() else None
            observed.lifespan_failed = observed.lifespan_failed or "startup failed"
            observed.said += answer.result().get("message", "")
        elif not answer.done() and not running.done():
            observed.lifespan_failed = f"no answer within {LIFESPAN_SECONDS:g} s"
        try:
            yield
        finally:
            inbox.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait({running}, timeout=LIFESPAN_SECONDS)
            for task in (running, answer):
                task.cancel()


def _chain(error: BaseException | None) -> Generator[BaseException]:
    """An error and those that led to it; their words alone, as a traceback also shows lines of the source."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def _observe(app: Any, probes: dict[str, str], host: str | None, observed: Observed) -> None:
    client = Client(app)
    inner = _inner(app)
    # Before anything was started: a liveness that needs more than the process itself shows it now.
    observed.probes["live"] = await client.ask(probes["live"])
    async with client.lifespan(observed):
        for name in ("ready", "startup"):
            observed.probes[name] = await client.ask(probes[name])
        host = await _forge(client, inner, [host] if host else ["localhost", *_allowed_hosts(inner)], observed)
        own = [getattr(inner, name, None) for name in ("docs_url", "redoc_url", "openapi_url")]
        for path in sorted({*_DOCS, *(path for path in own if isinstance(path, str))}):
            observed.docs[path] = await client.ask(path, host=host)
        observed.described = _described(inner)
        observed.trusts_everyone = any(map(_trusts_everyone, getattr(inner, "user_middleware", ())))


async def _forge(client: Client, inner: Any, hosts: list[str], observed: Observed) -> str:
    """Ask with forged headers under each name; gives the first that a route was reached by."""
    routes: Any = getattr(getattr(inner, "router", None), "routes", None)
    if routes is None:
        return hosts[0]

    async def seen(request: Request) -> JSONResponse:
        observed.seen = {"client": request.client.host if request.client else None, "scheme": request.url.scheme}
        return JSONResponse({})

    routes.insert(0, Route(SEEN_PATH, seen))
    forged = (("x-forwarded-for", FORGED), ("x-forwarded-proto", "https"), ("forwarded", f"for={FORGED};proto=https"))
    for host in hosts:
        answer = await client.ask(SEEN_PATH, *forged, host=host)
        observed.seen_status = answer.status
        if observed.seen is not None:
            return host
    return hosts[0]


def _described(inner: Any) -> list[str] | None:
    try:
        description: dict[str, Any] = inner.openapi()
    except Exception:
        return None
    return sorted(description.get("paths", ()))


def _inner(app: Any) -> Any:
    """The application inside what was wrapped around it."""
    while not hasattr(app, "router") and hasattr(app, "app"):
        app = app.app
    return app


def _trusts_everyone(middleware: Any) -> bool:
    trusted = middleware.kwargs.get("trusted_hosts") or next(iter(middleware.args), ())
    return getattr(middleware.cls, "__name__", "") == "ProxyHeadersMiddleware" and "*" in trusted


def _allowed_hosts(inner: Any) -> list[str]:
    """Names that the application itself says it is called by."""
    stated = [each.kwargs.get("allowed_hosts") or () for each in getattr(inner, "user_middleware", ())]
    return [str(host).replace("*", "it") for hosts in stated for host in hosts]


def _own_files() -> list[str]:
    """Imported modules that lie in the working directory, and not in an environment inside it."""
    here, installed = Path.cwd(), {Path(sys.prefix), *(Path(each) for each in sysconfig.get_paths().values())}
    found = {Path(each) for module in tuple(sys.modules.values()) if (each := getattr(module, "__file__", None))}
    return sorted(
        str(path) for path in found
        if path.suffix == ".py" and path.is_relative_to(here) and not any(map(path.is_relative_to, installed - {here}))
    )


async def _returning(run: Any) -> str | None:
    try:
        await run
    except Exception as exc:
        return type(exc).__name__
    return None


_watching: list[list[str]] = []


@contextmanager
def _watch() -> Generator[list[str]]:
    """Note what is reached for outside the process."""
    touched: list[str] = []
    _watching.append(touched)
    try:
        yield touched
    finally:
        _watching.remove(touched)


def _note(event: str, _arguments: object) -> None:
    if event in _OUTSIDE:
        for each in _watching:
            each.append(event)


if __name__ == "__main__":
    sys.addaudithook(_note)
    raise SystemExit(main())
