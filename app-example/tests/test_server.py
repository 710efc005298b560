"""The process as the image starts it: its output, its end, its refusal to start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support import ROOT, production_environment, production_settings, signed_in

SERVE = "fastapi_platform_runtime.serve"
VALID = {**production_environment(), "METRICS_PORT": "0"}
START_SECONDS = 60
"""Longest that a process takes to start or to end on a machine that has other things to do."""
REQUIRED_FIELDS = {"timestamp", "severity", "service", "environment", "release", "logger", "message"}


@pytest.fixture
def port() -> int:
    """Give a loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.control("structured-json-logs", "log-redaction")
@pytest.mark.processes
def test_every_line_from_start_to_end_is_json(port: int) -> None:
    with _server({**VALID, "ALLOWED_HOSTS": "127.0.0.1", "RELEASE": "r-17"}, port, lame_duck=1) as process:
        _wait_until_live(port)
        address = f"http://127.0.0.1:{port}/v1/orders?token=hunter2"
        assert httpx.get(address, headers={**signed_in(production_settings()), "Host": "127.0.0.1"}).status_code == 503
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=START_SECONDS)
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert all(set(line) >= REQUIRED_FIELDS for line in lines)
    assert {(line["service"], line["environment"], line["release"]) for line in lines} == {
        ("orders", "production", "r-17")
    }
    requests = [line for line in lines if line["message"] in ("request", "unhandled error")]
    assert all(set(line) >= {"request_id", "trace_id"} for line in requests)
    messages = [line["message"] for line in lines]
    assert messages[0].startswith("Started server process")
    assert any(message.startswith("Draining: 1 s of serving") for message in messages)
    assert {"request", "the database does not serve", "Application startup complete."} <= set(messages)
    assert messages[-1].startswith("Finished server process")
    assert "hunter2" not in out
    assert err == ""


@pytest.mark.control("prometheus-metrics", "structured-json-logs")
@pytest.mark.processes
def test_a_metrics_port_that_is_taken_ends_the_start_and_says_so(port: int) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        with _server({**VALID, "METRICS_PORT": taken}, port) as process:
            out, err = process.communicate(timeout=START_SECONDS)
    assert (process.returncode, err) == (3, "")
    messages = [json.loads(line)["message"] for line in out.splitlines()]
    assert any(f"cannot listen on METRICS_PORT {taken}" in message for message in messages)
    assert not any("Traceback" in message for message in messages)


@pytest.mark.control("settings-validated-at-startup", "postgres-required-in-production", "signing-key-strength")
@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "sqlite:///hunter2.db"), ("SIGNING_KEYS", "2026:aHVudGVyMg"), ("LOG_LEVEL", "hunter2")],
)
@pytest.mark.processes
def test_a_bad_variable_ends_the_start_with_one_line_that_names_it(port: int, name: str, value: str | None) -> None:
    environment = {key: text for key, text in {**VALID, name: value}.items() if text is not None}
    with _server(environment, port) as process:
        out, err = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 3
    (line,) = out.splitlines()
    assert json.loads(line)["message"].startswith("cannot start: ")
    assert name in line
    assert "hunter2" not in out
    assert err == ""


@contextmanager
def _server(environment: dict[str, str], port: int, *, lame_duck: int = 0) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", SERVE, "app.main:create_app", "--factory"),
            *("--port", str(port), "--lame-duck", str(lame_duck)),
        ],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_live(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/healthz/live").status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
