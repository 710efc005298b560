"""The form of log lines, whoever writes them."""

import json
import logging
import warnings
from typing import Any

import pytest

from app import logs

ORIGIN = logs.Origin("orders", "production", "r-17")


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one line that was written."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


@pytest.mark.control("structured-json-logs")
@pytest.mark.parametrize("name", ["app.orders", "uvicorn.error", "sqlalchemy.engine", "asyncio"])
def test_every_logger_writes_the_same_fields(capsys: pytest.CaptureFixture[str], name: str) -> None:
    logs.configure(ORIGIN, "INFO")
    logging.getLogger(name).warning("%s of %d", "one", 2)
    line = written(capsys)
    assert set(line) == {"timestamp", "severity", "service", "environment", "release", "logger", "message"}
    assert (line["logger"], line["severity"], line["message"]) == (name, "WARNING", "one of 2")
    assert (line["service"], line["environment"], line["release"]) == ("orders", "production", "r-17")


@pytest.mark.control("structured-json-logs")
def test_a_warning_of_python_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(ORIGIN, "INFO")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old\nway", stacklevel=1)
    logging.captureWarnings(False)
    assert written(capsys)["logger"] == "py.warnings"


@pytest.mark.control("log-redaction")
def test_fields_of_a_call_are_added_and_replace_none_of_the_lines_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(ORIGIN, "INFO")
    fields: dict[str, object] = {"service": "other", "sku": "MUG-1", "password": "hunter2", "ratio": float("nan")}
    logging.getLogger("app").info("Bearer hunter2hunter2\n{", extra={"fields": fields})
    line = written(capsys)
    assert (line["service"], line["sku"], line["ratio"]) == ("orders", "MUG-1", "nan")
    assert "hunter2" not in str(line)


@pytest.mark.control("log-redaction")
def test_an_exception_is_one_field_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(ORIGIN, "INFO")
    try:
        raise ValueError("is 'hunter2 or so'")
    except ValueError:
        logging.getLogger("app").exception("cannot do it")
    line = written(capsys)
    assert line["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert line["exception"].endswith("ValueError: is '[redacted]'")
    assert "test_logs.py" in line["exception"]


@pytest.mark.control("log-redaction")
def test_a_traceback_that_comes_as_a_message_is_told_as_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    """So does Starlette tell the server that the application did not start."""
    logs.configure(ORIGIN, "INFO")
    text = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    raise X("hunter2")\nX: password=hunter2\n'
    )
    logging.getLogger("uvicorn.error").error(text)
    line = written(capsys)
    assert line["message"] == "X: password=[redacted]"
    assert line["exception"].splitlines()[1] == '  File "a.py", line 1, in f'
    assert "hunter2" not in str(line)
