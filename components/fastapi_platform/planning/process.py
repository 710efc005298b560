"""The server process of a pod, and the command line that starts it.

Owns the process model, typed, and its rendering as the container's command, so that the app and the platform cannot
disagree about a timeout. Deliberately does not own the app: what is served is an import string.
Sources: https://www.uvicorn.org/settings/ https://docs.gunicorn.org/en/stable/settings.html
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from . import flows
from .errors import Expectation, expect, shown, verify

_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Server(StrEnum):
    """Which server answers requests in the pod."""

    RUNTIME = "runtime"
    """`python -m fastapi_platform_runtime.serve`, which the image must bring: uvicorn with a lame duck, so that a
    rollout fails no request."""
    UVICORN = "uvicorn"
    """Plain uvicorn: connections that clients keep open are cut under their next request at every rollout."""
    GUNICORN = "gunicorn"
    """gunicorn with its own ASGI worker; the same cost at a rollout as plain uvicorn."""
    IMAGE = "image"
    """The image's own command. The timings below must then describe what it really does."""

    @property
    def has_lame_duck(self) -> bool:
        """Whether the server keeps serving after SIGTERM while telling its clients to leave."""
        return self is Server.RUNTIME


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessModel:
    """How the server runs. One worker per pod by default: the autoscaler adds pods, not processes."""

    app: str = "app.main:create_app"
    """Import string of the application or its factory, `module:attribute`."""
    backlog: int = 2048
    """Connections the kernel queues while the process is busy; 64 to 65535."""
    concurrency_limit: int | None = None
    """Requests in progress before the server answers 503; health checks count too, so none by default."""
    factory: bool = True
    """Whether `app` names a function that makes the application."""
    graceful_timeout_seconds: int = 30
    """Seconds that requests in progress get after the listener closes; at least the request timeout."""
    keep_alive_seconds: int = 620
    """Seconds an idle connection stays open; longer than the load balancer's 600, or it reuses a dead one."""
    lame_duck_seconds: int = 5
    """Seconds of serving on after SIGTERM, with `Connection: close` on every answer; only the runtime server can."""
    server: Server = Server.RUNTIME
    """Which server answers; the default needs `fastapi-platform-runtime` in the image."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `X-Forwarded-*` headers are believed; none by default, never `*`."""
    workers: int = 1
    """Server processes in a pod; each has its own connection pool."""

    def __post_init__(self) -> None:
        verify(self, *self._shape(), *self._timings())

    @property
    def effective_lame_duck_seconds(self) -> int:
        """What the chosen server really does: nothing but the runtime server has a lame duck."""
        return self.lame_duck_seconds if self.server.has_lame_duck else 0

    def _shape(self) -> tuple[Expectation, ...]:
        return (
            expect("app", _IMPORT_STRING.fullmatch(self.app) is not None, want="module:attribute",
                   why="the server imports it", fix="Write for instance app: app.main:create_app."),
            expect("workers", 1 <= self.workers <= 64, want="1 to 64", why="each is a process with its own pool"),
            expect("backlog", 64 <= self.backlog <= 65535, want="64 to 65535", why="the kernel accepts no more"),
            expect("concurrency_limit", self.concurrency_limit is None or self.concurrency_limit >= 1,
                   want="1 or more, or nothing", why="a server that accepts no request serves nobody"),
            *(expect("trusted_proxies", flows.is_bounded_network(proxy), got=shown(proxy),
                     want="addresses or networks such as 35.191.0.0/16",
                     why="whoever is believed may claim any address, so it must not be everybody",
                     fix="List your load balancer's networks.") for proxy in self.trusted_proxies),
        )

    def _timings(self) -> tuple[Expectation, ...]:
        return (
            expect("graceful_timeout_seconds", self.graceful_timeout_seconds >= 1, want="1 second or more",
                   why="requests in progress would be cut"),
            expect("keep_alive_seconds", self.keep_alive_seconds >= 1, want="1 second or more",
                   why="every request would need a new connection"),
            expect("lame_duck_seconds", self.lame_duck_seconds >= 0, want="0 seconds or more", why="time runs forward"),
        )


def command(process: ProcessModel, port: int) -> tuple[str, ...]:
    """The container's command; empty when the image starts itself.

    Args:
        process: The process model.
        port: TCP port to listen on.
    """
    match process.server:
        case Server.RUNTIME:
            return ("python", "-m", "fastapi_platform_runtime.serve", process.app, *_runtime_options(process, port))
        case Server.UVICORN:
            return ("python", "-m", "uvicorn", process.app, *_uvicorn_options(process, port))
        case Server.GUNICORN:
            app = f"{process.app}()" if process.factory else process.app
            return ("python", "-m", "gunicorn", app, *_gunicorn_options(process, port))
        case Server.IMAGE:
            return ()


def _runtime_options(process: ProcessModel, port: int) -> tuple[str, ...]:
    return (*_uvicorn_options(process, port), "--lame-duck", str(process.lame_duck_seconds))


def _uvicorn_options(process: ProcessModel, port: int) -> tuple[str, ...]:
    return (
        *(("--factory",) if process.factory else ()),
        "--host", "0.0.0.0",
        "--port", str(port),
        "--workers", str(process.workers),
        "--timeout-graceful-shutdown", str(process.graceful_timeout_seconds),
        "--timeout-keep-alive", str(process.keep_alive_seconds),
        "--backlog", str(process.backlog),
        *_optional("--limit-concurrency", process.concurrency_limit),
        *_proxy_options(process, believe=("--proxy-headers",), otherwise=("--no-proxy-headers",)),
        "--no-server-header",
    )


def _gunicorn_options(process: ProcessModel, port: int) -> tuple[str, ...]:
    return (
        "--worker-class", "asgi",
        "--bind", f"0.0.0.0:{port}",
        "--workers", str(process.workers),
        "--graceful-timeout", str(process.graceful_timeout_seconds),
        "--keep-alive", str(process.keep_alive_seconds),
        "--backlog", str(process.backlog),
        *_optional("--worker-connections", process.concurrency_limit),
        *_proxy_options(process, believe=(), otherwise=("--forwarded-allow-ips", "127.0.0.1")),
        "--worker-tmp-dir", "/dev/shm",
        "--no-control-socket",
    )


def _optional(flag: str, value: int | None) -> tuple[str, ...]:
    return () if value is None else (flag, str(value))


def _proxy_options(
    process: ProcessModel, *, believe: tuple[str, ...], otherwise: tuple[str, ...]
) -> tuple[str, ...]:
    if not process.trusted_proxies:
        return otherwise
    return (*believe, "--forwarded-allow-ips", ",".join(process.trusted_proxies))
