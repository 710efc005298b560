"""The API keeps what its description promises, whatever is sent.

Owns the run of schemathesis over every operation, as an administrator, direct and through PgBouncer: the edges of each
parameter, random requests, and chains in which one answer's ids are the next request's. The seed is fixed and the
examples are few, so that every run asks much the same. The assistant's stream is asked too: the scripted model ends it.
Deliberately without limits of how often somebody may call; `tests/auth/test_limits.py` has them.

Source: https://schemathesis.readthedocs.io/en/stable/reference/checks/
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import schemathesis
from pydantic import SecretStr
from redis import Redis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
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
from tests.auth.support import PASSWORD, NoLimits
from tests.support import execute, insert_products, signed_in, valid_settings

CONFIG: dict[str, Any] = {
    "seed": 1,
    "continue-on-failure": True,
    "generation": {"deterministic": True, "database": "none", "max-examples": 25, "no-shrink": True},
    "phases": {"stateful": {"max-steps": 5, "generation": {"max-examples": 40}}},
    # A schema cannot say all that makes a request right: that the SKU is sold, that a key is new, that the last word is
    # the user's, that 1.0 is no integer. All other checks are on.
    "checks": {"positive_data_acceptance": {"enabled": False}},
    "operations": [
        # A cookie that is too long may have a semicolon in it, which makes two short ones of it.
        {"include-path": "/v1/auth/sign-out", "checks": {"negative_data_rejection": {"enabled": False}}},
        # A key that is used again gets the first answer again, whose file may have been removed meanwhile.
        {
            "include-path": "/v1/orders/{order_id}/attachments/{attachment_id}",
            "checks": {"ensure_resource_availability": {"enabled": False}},
        },
    ],
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
    request = Registration(email="admin@example.com", password=SecretStr(PASSWORD))
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
        if isinstance(event, events.ScenarioFinished):
            asked[event.recorder.label] += len(event.recorder.interactions)
            problems |= set(_failures(event.recorder))
        elif isinstance(event, events.NonFatalError | events.FatalError):
            problems.add(repr(event))
        elif isinstance(event, events.EngineFinished):
            print(f"\n{asked.total()} requests in {event.running_time:.0f} s")
            assert event.stop_reason is StopReason.COMPLETED
    assert not problems, "\n\n".join(sorted(problems))
    assert asked.pop("Stateful tests") > 0
    assert len(asked) == api.statistic.operations.total


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for check in itertools.chain.from_iterable(recorder.checks.values()):
        if check.failure_info:
            yield f"{recorder.label}: {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
