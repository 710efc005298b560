"""Who the assistant is open to."""

from uuid import UUID

import pytest
from redis.asyncio import Redis

from app import flags
from app.main import create_app
from tests.live import PATH, QUESTION
from tests.support import serve, signed_in, valid_settings

pytestmark = pytest.mark.services
TENANT = UUID(int=7)


async def test_the_assistant_is_there_for_whom_its_flag_is_on_and_for_nobody_else(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags, "REFRESH_SECONDS", 0.0)
    settings = valid_settings(redis_url=redis_url)
    invited, stranger = signed_in(settings, tenant_id=TENANT), signed_in(settings)
    async with serve(create_app(settings)) as client, Redis.from_url(redis_url) as redis:
        assert (await client.post(PATH, json=QUESTION, headers=invited)).status_code == 404
        await redis.set("cohorts:beta", flags.Cohort(tenants=frozenset({TENANT})).model_dump_json())
        await redis.set("flags:assistant", flags.Flag(cohorts=("beta",)).model_dump_json())
        assert (await client.post(PATH, json=QUESTION, headers=invited)).status_code == 200
        assert (await client.post(PATH, json=QUESTION, headers=stranger)).status_code == 404
        assert (await client.post(PATH, json=QUESTION)).status_code == 401
