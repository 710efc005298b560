"""Engine settings: what the environment may say, what it may not, and that the arguments work."""

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_platform_runtime.engine import EngineSettings, EngineSettingsError

URL = "postgresql://it:hunter2@db.test:6432/it"


def settings(url: str = URL, **values: str) -> EngineSettings:
    environment = {f"DATABASE_{name.upper()}": value for name, value in values.items()}
    return EngineSettings.from_environment({"DATABASE_URL": url, "UNRELATED": "x", **environment})


def test_an_address_is_enough_and_is_not_shown():
    arguments = settings().arguments()
    assert arguments["url"].render_as_string(hide_password=False) == "postgresql+asyncpg://it:hunter2@db.test:6432/it"
    assert (arguments["pool_size"], arguments["max_overflow"], arguments["pool_pre_ping"]) == (5, 5, True)
    assert "hunter2" not in f"{settings()!r} {arguments}"


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        ("pool_size", "7", ("pool_size", 7)),
        ("pool_overflow", "0", ("max_overflow", 0)),
        ("pool_pre_ping", "false", ("pool_pre_ping", False)),
        ("pool_recycle_seconds", "60", ("pool_recycle", 60)),
        ("pool_timeout_seconds", "0.5", ("pool_timeout", 0.5)),
    ],
)
def test_a_variable_becomes_its_argument_and_changes_no_other(name: str, value: str, argument: tuple[str, object]):
    plain, changed = settings().arguments(), settings(**{name: value}).arguments()
    assert {key: entry for key, entry in changed.items() if plain[key] != entry} == dict([argument])


@pytest.mark.parametrize(
    ("name", "value", "argument", "expected"),
    [
        ("command_timeout_seconds", "1.5", "command_timeout", 1.5),
        ("connect_timeout_seconds", "2", "timeout", 2),
        ("statement_cache_size", "0", "prepared_statement_cache_size", 0),
        ("tls", "require", "dsn", "postgresql://?sslmode=require"),
    ],
)
def test_a_variable_reaches_the_driver(name: str, value: str, argument: str, expected: object):
    assert settings(**{name: value}).arguments()["connect_args"][argument] == expected


def test_parameters_of_the_address_reach_the_driver_inside_an_address():
    arguments = settings(f"{URL}?sslmode=require&application_name=it").arguments()
    assert arguments["url"].query == {}
    assert arguments["connect_args"]["dsn"] == "postgresql://?application_name=it&sslmode=require"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": ""}, "DATABASE_URL: is not set: want postgresql://"),
        ({"url": "mysql://it:hunter2@db/it"}, "DATABASE_URL: want postgresql://"),
        ({"url": "postgresql://it:user@db:hunter2/it"}, "DATABASE_URL: want postgresql://"),
        ({"pool_size": "0"}, "DATABASE_POOL_SIZE: got 0, want a whole number from 1 to 100"),
        ({"pool_pre_ping": "yes"}, "DATABASE_POOL_PRE_PING: got yes, want true or false"),
        ({"pool_timeout_seconds": "nan"}, "DATABASE_POOL_TIMEOUT_SECONDS: got nan"),
        ({"tls": "prefer"}, "DATABASE_TLS: got prefer, want disable, require, verify-ca, verify-full"),
        ({"tls": "verify-full"}, "DATABASE_TLS_CA_FILE: want the file"),
        ({"tls": "require", "tls_ca_file": __file__}, "DATABASE_TLS_CA_FILE: nothing is verified"),
        ({"tls": "verify-ca", "tls_ca_file": "/nowhere"}, "DATABASE_TLS_CA_FILE: there is no file /nowhere"),
        ({"url": f"{URL}?sslmode=disable", "tls": "require"}, "DATABASE_TLS: got require, but the address says"),
        ({"url": f"{URL}?sslmode=requier"}, "DATABASE_URL: got sslmode=requier, want disable, allow, prefer, require"),
        ({"pooler_prepared_statements": "50"}, "DATABASE_STATEMENT_CACHE_SIZE: got 100, want 50 or fewer"),
        ({"url": f"{URL}?search_path=x", "pooler_prepared_statements": "200"}, "DATABASE_URL: search_path: a pooler"),
    ],
)
def test_what_cannot_work_is_refused_by_name(values: dict[str, str], said: str):
    with pytest.raises(EngineSettingsError, match=r"^DATABASE_") as caught:
        settings(**values)
    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)


def test_every_mistake_is_told_at_once():
    with pytest.raises(EngineSettingsError) as caught:
        settings(pool_size="0", tls="prefer", url="hunter2")
    assert str(caught.value).count("DATABASE_") == 3


def test_the_readme_lists_every_variable():
    readme = (Path(__file__).parents[2] / "runtime" / "README.md").read_text()
    assert [each.name for each in fields(EngineSettings) if f"`DATABASE_{each.name.upper()}`" not in readme] == []


def concurrent_sums(arguments: dict[str, Any]) -> list[int]:
    """Sums that twenty clients ask for at the same time, several each."""

    async def main() -> list[int]:
        engine = create_async_engine(**arguments)

        async def ask(number: int) -> int:
            total = 0
            for _ in range(5):
                async with engine.begin() as connection:
                    total += (await connection.execute(text("SELECT CAST(:n AS int)"), {"n": number})).scalar_one()
            return total

        try:
            return await asyncio.gather(*(ask(number) for number in range(20)))
        finally:
            await engine.dispose()

    return asyncio.run(main())


@pytest.mark.services
def test_the_arguments_work_on_a_real_database(database: str):
    assert concurrent_sums(settings(database).arguments()) == [5 * number for number in range(20)]


@pytest.mark.services
@pytest.mark.parametrize("pooled", ["tracking", "session"], indirect=True)
def test_the_arguments_work_through_a_pooler_that_keeps_prepared_statements(pooled: str):
    """With names of their own, which a pooler that tracks none would give to another client."""
    tracked = settings(pooled, pooler_prepared_statements="100")
    assert concurrent_sums(tracked.arguments()) == [5 * number for number in range(20)]


@pytest.mark.services
def test_the_arguments_work_through_a_pooler_that_tracks_no_prepared_statement(pooled: str):
    untracked = settings(pooled, statement_cache_size="0", pooler_prepared_statements="0")
    assert concurrent_sums(untracked.arguments()) == [5 * number for number in range(20)]
