"""The server's command line: what is typed in the stack file is what the container runs."""

import subprocess
import sys

import pytest

from fastapi_platform.planning import process
from fastapi_platform.planning.process import ProcessModel, Server


def options(model: ProcessModel) -> list[str]:
    return list(process.command(model, 8000))


@pytest.mark.parametrize(
    ("server", "start"),
    [
        (Server.RUNTIME, ["python", "-m", "fastapi_platform_runtime.serve", "app.main:create_app"]),
        (Server.UVICORN, ["python", "-m", "uvicorn", "app.main:create_app"]),
        (Server.GUNICORN, ["python", "-m", "gunicorn", "app.main:create_app()"]),
    ],
)
def test_each_server_is_started_as_a_module_with_the_app(server: Server, start: list[str]):
    """`python -m` needs no script on PATH, and the image no shell."""
    assert options(ProcessModel(server=server))[: len(start)] == start


def test_the_image_may_start_itself():
    assert options(ProcessModel(server=Server.IMAGE)) == []


@pytest.mark.parametrize("server", [Server.RUNTIME, Server.UVICORN])
@pytest.mark.parametrize(
    ("change", "flag", "value"),
    [
        ({"workers": 3}, "--workers", "3"),
        ({"graceful_timeout_seconds": 7}, "--timeout-graceful-shutdown", "7"),
        ({"keep_alive_seconds": 8}, "--timeout-keep-alive", "8"),
        ({"backlog": 64}, "--backlog", "64"),
        ({"concurrency_limit": 9}, "--limit-concurrency", "9"),
        ({"trusted_proxies": ("10.0.0.0/8", "::1")}, "--forwarded-allow-ips", "10.0.0.0/8,::1"),
    ],
)
def test_a_setting_becomes_its_flag(server: Server, change: dict[str, object], flag: str, value: str):
    words = options(ProcessModel(server=server, **change))  # pyright: ignore[reportArgumentType]
    assert words[words.index(flag) + 1] == value


@pytest.mark.parametrize(
    ("change", "flag", "value"),
    [
        ({"workers": 3}, "--workers", "3"),
        ({"graceful_timeout_seconds": 7}, "--graceful-timeout", "7"),
        ({"keep_alive_seconds": 8}, "--keep-alive", "8"),
        ({"backlog": 64}, "--backlog", "64"),
        ({"concurrency_limit": 9}, "--worker-connections", "9"),
        ({"trusted_proxies": ("10.0.0.0/8", "::1")}, "--forwarded-allow-ips", "10.0.0.0/8,::1"),
        ({}, "--forwarded-allow-ips", "127.0.0.1"),
        ({}, "--bind", "0.0.0.0:8000"),
        ({}, "--worker-class", "asgi"),
        ({}, "--worker-tmp-dir", "/dev/shm"),
    ],
)
def test_gunicorn_has_flags_of_its_own(change: dict[str, object], flag: str, value: str):
    words = options(ProcessModel(server=Server.GUNICORN, **change))  # pyright: ignore[reportArgumentType]
    assert words[words.index(flag) + 1] == value


def test_only_the_runtime_server_has_a_lame_duck():
    """A promise of a lame duck that the server cannot keep would shorten the preStop pause for nothing."""
    assert ProcessModel(server=Server.UVICORN, lame_duck_seconds=5).effective_lame_duck_seconds == 0
    assert ProcessModel(server=Server.RUNTIME, lame_duck_seconds=5).effective_lame_duck_seconds == 5
    assert "--lame-duck" in options(ProcessModel(server=Server.RUNTIME))
    assert "--lame-duck" not in options(ProcessModel(server=Server.UVICORN))


@pytest.mark.parametrize("server", [Server.RUNTIME, Server.UVICORN])
def test_nobodys_forwarded_headers_are_believed_unless_named(server: Server):
    """uvicorn believes the loopback by default, which behind a sidecar is everybody."""
    assert "--no-proxy-headers" in options(ProcessModel(server=server))
    assert "--proxy-headers" in options(ProcessModel(server=server, trusted_proxies=("10.0.0.0/8",)))


@pytest.mark.parametrize("server", [Server.RUNTIME, Server.UVICORN])
def test_no_answer_names_the_server_that_gave_it(server: Server):
    assert "--no-server-header" in options(ProcessModel(server=server))


def test_gunicorn_opens_no_socket_on_a_read_only_root():
    assert "--no-control-socket" in options(ProcessModel(server=Server.GUNICORN))


def test_an_application_object_is_served_without_the_factory_flag():
    assert "--factory" not in options(ProcessModel(server=Server.UVICORN, factory=False))
    assert "app.main:app" in options(ProcessModel(server=Server.GUNICORN, factory=False, app="app.main:app"))


@pytest.mark.parametrize("server", [Server.UVICORN, Server.GUNICORN])
def test_the_server_itself_accepts_every_flag(server: Server):
    """A flag that the server does not know is a crash loop; so the real one reads them."""
    model = ProcessModel(server=server, concurrency_limit=5, trusted_proxies=("127.0.0.1",), app="nowhere:app")
    command = [sys.executable, *options(model)[1:]]
    if server is Server.GUNICORN:
        command.insert(3, "--check-config")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "nowhere" in done.stdout + done.stderr
    assert "No such option" not in done.stderr
    assert "unrecognized arguments" not in done.stderr
