"""The image in a container as strict as an orchestrator's."""

import http.client
import socket
from contextlib import closing

import pytest

from tests.image.conftest import Start

pytestmark = pytest.mark.image

PORT = 8000
USER = 10001
IMPORT_ALL = """
import importlib, pkgutil, sys
import app
for found in pkgutil.walk_packages(app.__path__, "app."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
        print(found.name)
print("python", *sys.version_info[:2])
"""


class Client(http.client.HTTPConnection):
    """HTTP over a connection that is open already."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("127.0.0.1", PORT)
        self.sock = connected

    def ask(self, path: str) -> http.client.HTTPResponse:
        self.request("GET", path)
        answer = self.getresponse()
        answer.read()
        return answer


def status_of(container_proc: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in container_proc.splitlines() if ":\t" in line)


def test_it_serves_without_a_shell_a_writable_root_or_a_capability(start: Start):
    server = start()
    with closing(Client(server.connect(PORT))) as client:
        assert client.ask("/healthz/live").status == 200
    status = status_of(server.run("python", "-c", "print(open('/proc/1/status').read())").stdout)
    assert status["Pid"].strip() == "1"
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(USER)}
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    first = server.run("python", "-c", "print(open('/proc/1/cmdline').read().split(chr(0))[:3])").stdout
    assert first.strip() == "['python', '-m', 'fastapi_platform_runtime.serve']"


def test_it_can_write_to_tmp_alone(start: Start):
    server = start()
    server.connect(PORT).close()
    for folder in ("/", "/app", "/app/app", "/app/.venv/lib", "/usr", "/var/tmp", "/run", "/home"):
        tried = server.run("python", "-c", f"open('{folder}/written', 'w')")
        assert "Read-only file system" in tried.stderr, (folder, tried)
    assert server.run("python", "-c", "open('/tmp/written', 'w')").returncode == 0


@pytest.mark.control("graceful-drain")
def test_a_signal_to_process_1_drains_and_ends_with_0(start: Start):
    """What a client keeps open is answered once more, and told to leave; then the process ends by itself."""
    server = start()
    with closing(Client(server.connect(PORT))) as client:
        before = client.ask("/healthz/live")
        assert (before.status, before.getheader("Connection")) == (200, None)
        server.terminate()
        while (answer := client.ask("/healthz/live")).getheader("Connection") is None:
            assert answer.status == 200
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
    assert server.wait() == 0, server.output


@pytest.mark.parametrize("module", ["fastapi_platform_runtime.migrate", "fastapi_platform_runtime.serve"])
def test_the_platforms_commands_are_in_it(module: str, start: Start):
    done = start("python", "-m", module, "--help")
    assert done.wait() == 0, done.output
    assert f"usage: python -m {module}" in done.output


@pytest.mark.control("image-import-smoke-test", "python-version-pinned")
def test_every_module_of_the_app_can_be_imported_in_it(start: Start):
    done = start("python", "-c", IMPORT_ALL)
    assert done.wait() == 0, done.output
    assert "app.main" in done.output.split()
    assert "python 3 11" in done.output


def test_a_missing_setting_is_one_line_and_no_traceback(start: Start):
    done = start("env", "-u", "DATABASE_URL", "python", "-c", "from app.main import create_app; create_app()")
    assert done.wait() != 0
    assert "DATABASE_URL" in done.output
    assert "Traceback" not in done.output
