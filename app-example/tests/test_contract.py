"""The API keeps what its description promises, whatever is sent.

Owns the run of schemathesis over every operation, as an administrator, direct and through PgBouncer: the edges of each
parameter, random requests, and chains in which one answer's ids are the next request's. The seed is fixed and the
examples are few, so that every run asks the same. The assistant's stream is asked too: the scripted model ends it.

Source: https://schemathesis.readthedocs.io/en/stable/reference/checks/
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import schemathesis
from redis import Redis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.schemas import BaseSchema

from app.assistant.endpoints import FLAG
from app.auth.accounts import create_admin
from app.auth.schemas import Registration
from app.auth.tokens import Role
from app.flags import Flag
from app.main import create_app
from app.rate_limits import get_rate_limits
from app.settings import Settings
from tests.auth.support import NoLimits
from tests.support import execute, insert_products, signed_in, valid_settings

PHASES = ("Coverage", "Fuzzing", "Stateful")
LONGEST_SECONDS = 600
"""For a machine that does other things too; an idle one needs less than a tenth."""
CONFIG: dict[str, Any] = {
    "output": {"sanitization": {"enabled": False}},
    "checks": {"positive_data_acceptance": {"enabled": False}},
    "seed": 1,
    "continue-on-failure": True,
    "generation": {"deterministic": True, "database": "none", "max-examples": 5, "no-shrink": True},
    "phases": {"stateful": {"max-steps": 5, "generation": {"max-examples": 20}}},
}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Give the settings of a service whose assistant is open to all."""
    with Redis.from_url(redis_url) as redis:
        redis.set(f"flags:{FLAG}", Flag(percent=100).model_dump_json())
    return valid_settings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
def administrator(settings: Settings, database_url: str) -> dict[str, str]:
    """Give the headers of an administrator with an account, in a shop that has a product."""
    asyncio.run(execute(database_url, insert_products("MUG-1")))
    request = Registration(email="admin@example.com", password="correct horse battery staple")
    tenant_id = uuid4()
    told = asyncio.run(create_admin(settings, request, tenant_id))
    return signed_in(settings, role=Role.ADMIN, tenant_id=tenant_id, user_id=UUID(told.rpartition(" ")[2]))


@pytest.fixture
def api(settings: Settings, administrator: dict[str, str]) -> Iterator[BaseSchema]:
    """Give the API as the code describes it, without limits: an answer 429 would hide all others."""
    app = create_app(settings)
    app.dependency_overrides[get_rate_limits] = NoLimits
    config = SchemathesisConfig.from_dict({**CONFIG, "headers": administrator})
    try:
        yield schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    finally:
        shutdown_lifespans()


@pytest.mark.services
@pytest.mark.control("consistent-error-schema", "strict-input-validation", "typed-models-on-routes")
def test_every_answer_is_as_described(api: BaseSchema) -> None:
    asked: Counter[str] = Counter()
    problems: set[str] = set()
    for event in from_schema(api).execute():
        match event:
            case events.ScenarioFinished():
                for case_id, interaction in event.recorder.interactions.items():
                    status = interaction.response.status_code if interaction.response else "none"
                    asked[f"{event.recorder.cases[case_id].value.operation.label} {status}"] += 1
                for checks in event.recorder.checks.values():
                    problems |= {
                        f"{event.recorder.label}: {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                        for check in checks
                        if check.failure_info
                    }
            case events.NonFatalError() | events.FatalError():
                problems.add(repr(event))
                print(vars(event) if hasattr(event, "__dict__") else event.info)
            case events.PhaseFinished():
                print(event.phase.name, event.status, event.timestamp)
            case events.EngineFinished():
                print(event.stop_reason, event.running_time)
            case _:
                pass
    for line in sorted(asked.items()):
        print(line)
    print(sum(asked.values()))
    print("NPROBLEMS", len(problems))
    for each in sorted(problems):
        print("PROBLEM", each[:900])
        print("-----")
    assert not problems
