"""What looks like a credential is hidden wherever it stands, and nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform_policy import credentials
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record

DSN = "postgresql://u:hunter2@h/db"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (DSN, Marker.SECRET),
        ({"API_TOKEN": "hunter2"}, {"API_TOKEN": Marker.SECRET}),
        ({"name": "API_TOKEN", "value": "hunter2"}, {"name": "API_TOKEN", "value": Marker.SECRET}),
        ({"name": "GREETING", "value": DSN}, {"name": "GREETING", "value": Marker.SECRET}),
        (["run", "--password=hunter2"], ["run", "--password=[secret]"]),
        (["run", "--api-key", "hunter2", "--fast"], ["run", "--api-key", Marker.SECRET, "--fast"]),
        (["sh", "-c", "API_TOKEN=hunter2 run --fast"], ["sh", "-c", "API_TOKEN=[secret] run --fast"]),
        (["run", "--password=hunter2 &hunter2"], ["run", "--password=[secret]"]),
        ("run --fast API_TOKEN=hunter2", "run --fast API_TOKEN=[secret]"),
        ("login --password hunter2 && run", "login --password [secret] && run"),
        ("A=1\nDB_PASSWORD='hunter2 two'\nB=2", "A=1\nDB_PASSWORD=[secret]\nB=2"),
        ({"config.yaml": "db:\n  password: hunter2"}, {"config.yaml": "db:\n  password: [secret]"}),
        ({"config.json": '{"clientSecret": "hunter2"}'}, {"config.json": '{"clientSecret": [secret]}'}),
    ],
)
def test_a_credential_in_clear_is_hidden(value: Any, shown: Any):
    assert credentials.hidden(value) == shown
    assert credentials.holds_one(value)
    assert credentials.hidden(shown) == shown


@pytest.mark.parametrize(
    "value",
    [
        ["uvicorn", "app:app", "--timeout-keep-alive", "620"],
        ["run", "--password-file=/run/secrets/password", "--token=$(API_TOKEN)", "--password", "$(PASSWORD)"],
        {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "token"}}},
        {"secret": {"secretName": "a"}, "API_TOKEN": "", "TOKEN_SECONDS": "3"},
        "a password is not a credential",
        {"API_TOKEN": Marker.UNKNOWN},
        {"DB_PASSWORD": "$(PG_PASSWORD)", "DATABASE_URL": "postgresql://app:$(PW)@db/app"},
    ],
)
def test_what_is_none_is_shown(value: Any):
    assert credentials.hidden(value) == value


LEAVES = st.none() | st.integers() | st.text() | st.sampled_from(["--token", "API_TOKEN=a b", "$A", DSN])


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_was_hidden_once_holds_nothing_more(value: Any):
    assert not credentials.holds_one(credentials.hidden(value))


def test_whatever_a_secret_holds_is_hidden_though_nobody_marked_it():
    inputs: Any = {"data": {"a": "aGk="}, "stringData": {"greeting": "hello", "later": Marker.UNKNOWN}}
    secret = Record(urn="s", type="kubernetes:core/v1:Secret", name="s", inputs=inputs)
    shown = credentials.without(Program([secret])).records[0].inputs
    assert shown == {"data": {"a": Marker.SECRET}, "stringData": {"greeting": Marker.SECRET, "later": Marker.UNKNOWN}}
