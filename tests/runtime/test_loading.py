"""What is said about an application that does not load."""

from typing import Any

import pytest
from pydantic import BaseModel

from fastapi_platform_runtime.loading import reason


class Settings(BaseModel):
    retries: int
    signing_key: int


def raised(values: dict[str, Any]) -> Exception:
    with pytest.raises(ValueError, match="validation") as caught:
        Settings.model_validate(values)
    return caught.value


def test_pydantics_problems_are_named_without_the_values_that_it_repeats_shortened():
    key = "a-key-that-nobody-may-see-" + "x" * 60
    said = reason(raised({"signing_key": key}), {"SIGNING_KEY": key})
    assert said.startswith("ValidationError: retries: Field required; signing_key: Input should be a valid integer")
    assert "a-key" not in said


def test_the_last_line_of_the_applications_own_is_where():
    assert reason(raised({}), {}).endswith(f"(tests/runtime/test_loading.py:{raised.__code__.co_firstlineno + 2})")


def test_the_longest_value_is_looked_for_first():
    said = reason_of("at amqp://me:secret@mq/shop", {"SHORT": "secret", "QUEUE": "amqp://me:secret@mq/shop"})
    assert said.startswith("ValueError: at [value of QUEUE] (")


def test_a_short_value_does_not_tear_words_apart():
    assert reason_of("wants all of it", {"LEVEL": "all"}).startswith("ValueError: wants all of it (")


def reason_of(message: str, environment: dict[str, str]) -> str:
    try:
        raise ValueError(message)
    except ValueError as exc:
        return reason(exc, environment)
