"""The development set-up with containers: it starts what `make demo` starts, with settings that the service reads.

Owns what can be read in the file; nothing here needs Docker.
"""

from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from app.auth import accounts
from app.settings import Settings
from development import demo
from tests.support import ROOT

FILE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OF_THE_IMAGE = ("api", "worker", "migrate", "flag")


def settings_of(name: str, patch: pytest.MonkeyPatch) -> Settings:
    """Return what a container of the service reads from its environment."""
    for variable, value in SERVICES[name]["environment"].items():
        patch.setenv(variable, value)
    return Settings.from_environment()


@pytest.mark.parametrize("name", OF_THE_IMAGE)
def test_every_variable_is_one_that_the_service_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {variable.lower() for variable in SERVICES[name]["environment"]}
    assert {each for each in names if not each.startswith("database_")} <= set(Settings.model_fields)
    monkeypatch.setenv("ENVIRONMENT", "local")
    assert settings_of(name, monkeypatch).is_local


def test_the_metrics_answer_on_the_port_that_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("api", monkeypatch)
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8000:8000", f"127.0.0.1:{settings.metrics_port}:9000"]
    assert (settings.metrics_address, settings.metrics_port) == ("0.0.0.0", 9000)


def test_all_ports_are_published_on_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_service_goes_through_the_pooler_and_the_migration_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {name: make_url(SERVICES[name]["environment"]["DATABASE_URL"]).host for name in OF_THE_IMAGE}
    assert hosts == {"api": "pooler", "worker": "pooler", "flag": "pooler", "migrate": "postgres"}
    assert SERVICES["pooler"]["environment"]["MAX_PREPARED_STATEMENTS"] == str(
        settings_of("api", monkeypatch).database.pooler_prepared_statements
    )


def test_the_first_flag_is_that_of_the_demo() -> None:
    assert SERVICES["flag"]["command"] == ["python", "-m", *demo.FIRST_FLAG]
    assert SERVICES["api"]["depends_on"]["flag"] == {"condition": "service_completed_successfully"}


def test_the_readme_says_how_to_open_an_administrators_account() -> None:
    (line,) = [each for each in (ROOT / "README.md").read_text().splitlines() if "create-admin" in each]
    words = line.split()
    assert words[words.index("run") + 3] in SERVICES
    assert accounts.parser().parse_args(words[words.index("app.auth.accounts") + 1 :]).email == demo.EMAIL


def test_whatever_is_waited_for_is_there() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
