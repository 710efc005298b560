"""Timings read from a server's command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import process
from fastapi_platform.planning.process import ProcessModel, Server
from fastapi_platform_policy import servers
from fastapi_platform_policy.servers import ServerTimings
from fastapi_platform_policy.workloads import Container

some_seconds = st.integers(min_value=1, max_value=3600)


def read(command: list[str], args: list[str] | None = None) -> ServerTimings | None:
    return servers.read(Container("api", {"command": command, "args": args or []}, starts_first=False))


@given(st.sampled_from([Server.RUNTIME, Server.UVICORN, Server.GUNICORN]), some_seconds, some_seconds, some_seconds)
def test_what_the_platform_renders_is_read_back(server: Server, graceful: int, keep_alive: int, lame_duck: int):
    """The judge reads the command that the container runs, not what the component says about it."""
    model = ProcessModel(
        server=server, graceful_timeout_seconds=graceful, keep_alive_seconds=keep_alive, lame_duck_seconds=lame_duck
    )
    found = read(list(process.command(model, 8000)))
    assert found == ServerTimings(server.value, graceful, keep_alive, model.effective_lame_duck_seconds)


@pytest.mark.parametrize(
    ("command", "timings"),
    [
        (["uvicorn", "a:b"], ServerTimings("uvicorn", None, 5)),
        (["/app/.venv/bin/uvicorn", "a:b", "--timeout-graceful-shutdown=9"], ServerTimings("uvicorn", 9, 5)),
        (["gunicorn", "a:b"], ServerTimings("gunicorn", 30, 2)),
        (["python", "-m", "gunicorn", "a:b", "--keep-alive", "75"], ServerTimings("gunicorn", 30, 75)),
        (["uvicorn", "a:b", "--timeout-graceful-shutdown", "soon"], ServerTimings("uvicorn", None, 5)),
    ],
)
def test_a_servers_own_defaults_are_known(command: list[str], timings: ServerTimings):
    assert read(command) == timings


def test_arguments_beside_the_command_count():
    assert read(["uvicorn"], ["a:b", "--timeout-graceful-shutdown", "7"]) == ServerTimings("uvicorn", 7, 5)


@pytest.mark.parametrize("command", [[], ["sh", "-c", "uvicorn a:b"], ["python", "main.py"], ["hypercorn", "a:b"]])
def test_nothing_is_guessed_about_an_unknown_command(command: list[str]):
    assert read(command) is None
