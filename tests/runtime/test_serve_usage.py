"""The command line of the server: what it accepts, and how it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_platform_runtime import serve
from tests.runtime.servers import OURS, running

pytestmark = pytest.mark.processes


def run(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fastapi_platform_runtime.serve", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=cwd)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: app"),
        (("app.main",), "want module:attribute"),
        (("nowhere.main:app",), "there is no module nowhere.main here"),
        (("nowhere:app", "--workers", "2"), "there is no module nowhere here"),
        (("a:b", "--port", "65536"), "want a whole number from 0 to 65535, got 65536"),
        (("a:b", "--lame-duck", "-1"), "want a whole number from 0 to 3600, got -1"),
        (("a:b", "--workers", "two"), "want a whole number from 1 to 64, got two"),
        (("a:b", "--lame", "5"), "unrecognized arguments"),
        (("a:b", "--reload"), "unrecognized arguments: --reload"),
    ],
)
def test_bad_usage_is_one_message_and_status_2(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        serve.main(words)
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert said in shown.err.splitlines()[-1]
    assert shown.out == ""


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        serve.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--lame-duck", "--timeout-graceful-shutdown", "--proxy-headers"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_attribute_that_is_not_there_is_status_2_without_a_traceback(tmp_path: Path, workers: str):
    (tmp_path / "shop.py").write_text("app = None\n")
    done = run("shop:create_app", "--factory", "--port", "0", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 2
    assert 'Attribute "create_app" not found in module "shop"' in done.stderr
    assert "Traceback" not in done.stderr


ENDS = {"1": 3, "2": 1}
"""Statuses that an application ends itself with; among several processes any is a start that failed."""
FAILS = "raise ValueError('no ' + os.environ['SHOP_URL'] + ' with hunter22')"
LOADS_NOT = {
    "module": f"import os\n\n\n{FAILS}\n",
    "factory": f"import os\ndef create_app():\n    pass\n    {FAILS}\n",
}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("where", LOADS_NOT)
def test_an_application_that_raises_while_it_loads_is_status_3_and_one_line_without_what_variables_say(
    tmp_path: Path, workers: str, where: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "shop.py").write_text(LOADS_NOT[where])
    monkeypatch.setenv("SHOP_URL", "postgresql://shop:hunter22@db/shop")
    done = run("shop:create_app", "--factory", "--port", "0", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 3
    said = "it does not load: ValueError: no [value of SHOP_URL] with [value of SHOP_URL] (shop.py:4)"
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter22" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_package_that_raises_while_its_module_is_looked_for_is_the_same(tmp_path: Path, workers: str):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "shop" / "main.py").touch()
    done = run("shop.main:create_app", "--factory", "--port", "0", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 3
    assert "No module named 'nothing_of_that_name' (shop/__init__.py:1)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_that_fails_is_status_3(tmp_path: Path, workers: str):
    (tmp_path / "shop.py").write_text(f"def create_app():\n    raise SystemExit({ENDS[workers]})\n")
    assert run("shop:create_app", "--factory", "--port", "0", "--workers", workers, cwd=tmp_path).returncode == 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_status_3_and_one_message(workers: str):
    with running(OURS, "--lame-duck", "0") as server, running(
        OURS, "--workers", workers, wait=False, port=server.port
    ) as second:
        status, output = second.end()
    assert status == 3
    assert "address already in use" in output.lower()
    assert "Traceback" not in output
