"""What the service refuses to start with, and what it never shows."""

import re
import traceback
from dataclasses import fields

import pytest
from fastapi_platform_runtime.engine import EngineSettings
from pydantic import ValidationError

from app.settings import Settings, SettingsError
from tests.support import ROOT, production_environment, valid_settings

REQUIRED = {name: value for name, value in production_environment().items() if name != "ENVIRONMENT"}
"""What a production must state."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment that can start the service."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_required_variables_are_enough() -> None:
    assert Settings.from_environment().service_name == "orders"


@pytest.mark.control("fail-safe-defaults", "settings-validated-at-startup")
def test_an_empty_environment_is_a_production_that_names_all_that_is_missing() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert "ENVIRONMENT=production" in str(caught.value)
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", str(caught.value))) == set(REQUIRED)


@pytest.mark.control("settings-validated-at-startup")
@pytest.mark.parametrize("name", REQUIRED)
def test_each_missing_variable_stops_the_start(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError, match=rf"\b{name}\b"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOL_OVERFLOW", "-1"),
        ("DATABASE_POOL_RECYCLE_SECONDS", "0"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_SIZE", "many"),
        ("DATABASE_POOL_TIMEOUT_SECONDS", "0"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "mysql://orders:hunter2@db/orders"),
        ("DATABASE_URL", "postgresql+psycopg2://orders:hunter2@db/orders"),
        ("DATABASE_URL", "postgresql://orders:hunter2@db"),
        ("DATABASE_URL", "postgresql://orders:user@db:hunter2/orders"),
        ("DATABASE_URL", "sqlite:///hunter2.db"),
        ("ENVIRONMENT", ""),
        ("ENVIRONMENT", "prod"),
        ("LOG_LEVEL", "verbose"),
        ("READINESS_TIMEOUT_SECONDS", "0"),
        ("SERVICE_NAME", "Orders, please"),
    ],
)
def test_a_malformed_variable_is_named_and_its_value_is_not_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\b{name}\b") as caught:
        Settings.from_environment()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_postgres_scheme_gets_the_async_driver_and_keeps_the_rest(scheme: str) -> None:
    given = f"{scheme}://us%40er:p%2Fa%3Fss@db.test:6432/orders?sslmode=require"
    url = valid_settings(database_url=given).database.url
    assert url.drivername == "postgresql+asyncpg"
    assert (url.username, url.password, url.host, url.port) == ("us@er", "p/a?ss", "db.test", 6432)
    assert (url.database, url.query) == ("orders", {"sslmode": "require"})


def test_settings_do_not_show_the_password_and_do_not_change() -> None:
    settings = valid_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.signing_keys}"
    with pytest.raises(ValidationError):
        settings.log_level = "DEBUG"  # type: ignore[misc]


def test_the_readme_lists_every_variable() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    database = {f"DATABASE_{field.name.upper()}" for field in fields(EngineSettings)}
    assert set(listed) == {name.upper() for name in Settings.model_fields} - {"DATABASE"} | database
