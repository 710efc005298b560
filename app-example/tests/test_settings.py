"""What the service refuses to start with, and what it never shows."""

import base64
import json
import re
import secrets
import traceback
from dataclasses import fields

import pytest
from fastapi_platform_runtime.engine import EngineSettings
from fastapi_platform_runtime.serve import main as serve_command
from pydantic import ValidationError

from app.main import STARTUP_FAILURE, create_app
from app.settings import Settings, SettingsError
from tests.support import ROOT, production_environment, serve, valid_settings

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


@pytest.mark.control("fail-safe-defaults", "debug-and-reload-disabled")
async def test_required_variables_alone_open_nothing(environment: pytest.MonkeyPatch) -> None:
    for name in ("DEBUG", "FASTAPI_DEBUG", "RELOAD", "UVICORN_RELOAD", "WEB_RELOAD"):
        environment.setenv(name, "true")
    app = create_app()
    assert not app.debug
    async with serve(app) as client:
        for path in ("/docs", "/openapi.json", "/redoc"):
            assert (await client.get(path, headers={"Host": "orders.test"})).status_code == 404
        stranger = {"Origin": "https://evil.test", "Host": "orders.test"}
        assert "Access-Control-Allow-Origin" not in (await client.get("/healthz/live", headers=stranger)).headers


@pytest.mark.control("debug-and-reload-disabled")
def test_a_production_does_not_write_debug_lines(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LOG_LEVEL", "DEBUG")
    with pytest.raises(SettingsError, match=r"LOG_LEVEL: got DEBUG"):
        Settings.from_environment()


@pytest.mark.control("debug-and-reload-disabled")
@pytest.mark.parametrize("option", ["--debug", "--reload", "--reload-dir=."])
def test_the_server_has_no_option_that_reloads(option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        serve_command(["app.main:create_app", "--factory", option])
    assert caught.value.code == 2


@pytest.mark.control("fail-safe-defaults", "settings-validated-at-startup")
def test_an_empty_environment_is_a_production_that_names_all_that_is_missing() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert "ENVIRONMENT=production" in str(caught.value)
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", str(caught.value))) == set(REQUIRED)


@pytest.mark.control("settings-validated-at-startup")
@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("name", REQUIRED)
def test_each_missing_variable_stops_the_start(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str | None
) -> None:
    if name == "CORS_ORIGINS" and value is not None:
        pytest.skip("an empty list is an answer: no browser calls")
    environment.delenv(name) if value is None else environment.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        create_app()
    assert caught.value.code == STARTUP_FAILURE
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["severity"] == "CRITICAL"
    assert re.search(rf"\b{name}\b", json.loads(line)["message"])


@pytest.mark.control(
    "settings-validated-at-startup", "postgres-required-in-production", "cors-allow-list", "trusted-hosts"
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "https://hunter2.example.com"),
        ("ALLOWED_HOSTS", "orders.test,*"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "http://shop.test"),
        ("CORS_ORIGINS", "https://*.shop.test"),
        ("CORS_ORIGINS", "https://shop.test,http://hunter2.test/path"),
        ("CORS_ORIGINS", "null"),
        ("METRICS_HOST", "hunter2"),
        ("MODEL_URL", "hunter2"),
        ("MODEL_URL", "https://hunter2:hunter2@model.test"),
        ("REDIS_URL", "http://hunter2"),
        ("REQUEST_MAX_BYTES", "0"),
        ("RESET_MESSAGES_API_KEY", "hunter2 hunter2"),
        ("RESET_MESSAGES_URL", "hunter2"),
        ("RESET_MESSAGES_URL", "http://hunter2.test"),
        ("RESET_MESSAGES_URL", "https://hunter2:hunter2@messages.test"),
        ("STORAGE_URL", "file:///hunter2"),
        ("STORAGE_URL", "hunter2"),
        ("STORAGE_URL", "memory:///hunter2"),
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
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite+aiosqlite:///:memory:"),
        ("ENVIRONMENT", ""),
        ("ENVIRONMENT", "prod"),
        ("LOG_LEVEL", "verbose"),
        ("READINESS_TIMEOUT_SECONDS", "0"),
        ("SENTRY_DSN", "hunter2"),
        ("SENTRY_DSN", "https://tracker.test/hunter2"),
        ("SENTRY_DSN", "https://hunter2@tracker.test/project"),
        ("SENTRY_DSN", "https://hunter2@tracker.test:port/1"),
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


@pytest.mark.control("signing-key-strength")
@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"hunter2",
        b"x" * 31,
        b"x" * 32,
        b"hunter2hunter2hunter2hunter2hunter2",
        b"change-me-please-this-is-not-a-key-1",
        b"your-256-bit-secret-your-256-bit-key",
        b"0123456789abcdefghijklmnopqrstuvwxyz",
        b"The-Default-Key-Of-This-Application!",
    ],
)
def test_a_key_that_somebody_made_up_stops_the_start(environment: pytest.MonkeyPatch, key: bytes) -> None:
    good = REQUIRED["SIGNING_KEYS"]
    text = base64.urlsafe_b64encode(key).decode()
    for value in (f"2026:{text}", f"{good},old:{text}", text, key.decode()):
        environment.setenv("SIGNING_KEYS", value)
        with pytest.raises(SettingsError, match=r"\bSIGNING_KEYS\b") as caught:
            Settings.from_environment()
        shown = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in shown
        assert not text or text not in shown


@pytest.mark.control("signing-key-strength")
def test_random_keys_start(environment: pytest.MonkeyPatch) -> None:
    keys = ",".join(f"k{number}:{secrets.token_urlsafe(32)}" for number in range(50))
    environment.setenv("SIGNING_KEYS", keys)
    assert Settings.from_environment().token_keys.current[0] == "k0"


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
