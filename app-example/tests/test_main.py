"""The application as a whole: what it publishes, and what it hides."""

from typing import Any

import pytest

from app.main import create_app
from tests.support import production_settings, serve, valid_settings


@pytest.mark.parametrize(("environment", "status"), [("local", 200), ("development", 200), ("production", 404)])
@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_docs_are_served_outside_production_only(environment: str, status: int, path: str) -> None:
    async with serve(create_app(production_settings(environment=environment))) as client:
        assert (await client.get(path)).status_code == status


def test_the_description_has_versioned_paths_only() -> None:
    paths = set(_description()["paths"])
    assert {"/v1/auth/token", "/v1/orders", "/v1/products"} <= paths
    assert all(path.startswith("/v1/") for path in paths)


def test_every_operation_declares_its_answer_and_the_shape_of_errors() -> None:
    operations = [operation for path in _description()["paths"].values() for operation in path.values()]
    assert len(operations) >= 10
    for operation in operations:
        *answers, errors = sorted(operation["responses"])
        assert answers
        assert errors == "default"
        assert set(operation["responses"]["default"]["content"]) == {"application/problem+json"}


def _description() -> dict[str, Any]:
    return create_app(valid_settings()).openapi()
