"""The timings in a server's command line.

Owns reading uvicorn, gunicorn and the platform's own server as they are started in a container. Deliberately guesses
nothing about a command it does not know: the image decides, and the answer is that nobody can tell from here.
Sources: https://www.uvicorn.org/settings/ https://docs.gunicorn.org/en/stable/settings.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .record import Value, items
from .workloads import Container

GUNICORN_GRACEFUL_SECONDS = 30
"""gunicorn's own default."""
UVICORN_KEEP_ALIVE_SECONDS = 5
GUNICORN_KEEP_ALIVE_SECONDS = 2
RUNTIME_MODULE = "fastapi_platform_runtime.serve"


@dataclass(frozen=True, slots=True)
class ServerTimings:
    """What a server does when it is told to stop."""

    server: str
    graceful_timeout_seconds: int | None
    """None: it waits for ever."""
    keep_alive_seconds: int
    lame_duck_seconds: int = 0


def read(container: Container) -> ServerTimings | None:
    """Timings of the server that a container starts; None when its command is not a known server."""
    words = [*_words(container.at("command")), *_words(container.at("args"))]
    server, options = _server(words), _options(words)
    match server:
        case "gunicorn":
            return ServerTimings(
                server,
                _number(options, "--graceful-timeout", GUNICORN_GRACEFUL_SECONDS),
                _number(options, "--keep-alive", GUNICORN_KEEP_ALIVE_SECONDS) or 0,
            )
        case "uvicorn" | "runtime":
            return ServerTimings(
                server,
                _number(options, "--timeout-graceful-shutdown", None),
                _number(options, "--timeout-keep-alive", UVICORN_KEEP_ALIVE_SECONDS) or 0,
                _number(options, "--lame-duck", 0) or 0 if server == "runtime" else 0,
            )
        case _:
            return None


def _words(value: Value) -> Sequence[str]:
    return [word for word in items(value) if isinstance(word, str)]


def _server(words: Sequence[str]) -> str:
    names = [word.rpartition("/")[2] for word in words[:3]]
    if RUNTIME_MODULE in names:
        return "runtime"
    return next((name for name in ("uvicorn", "gunicorn") if name in names), "")


def _options(words: Sequence[str]) -> Mapping[str, str]:
    """Values by flag, of `--flag value` and `--flag=value`."""
    options: dict[str, str] = {}
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            following = words[position + 1] if position + 1 < len(words) else ""
            options[flag] = value if equals else following
    return options


def _number(options: Mapping[str, str], flag: str, default: int | None) -> int | None:
    value = options.get(flag, "")
    return int(value) if value.isdigit() else default
