"""Times are in UTC and say so, whatever the zone of the machine: all tests run in another one."""

import json
from datetime import UTC, datetime, timedelta
from time import localtime

import httpx
import pytest

from app.main import create_app
from tests.support import execute, serve, valid_settings

pytestmark = pytest.mark.control("utc-everywhere")


def test_the_tests_run_in_a_zone_that_is_not_utc() -> None:
    assert localtime().tm_gmtoff not in (0, None)


@pytest.mark.services
async def test_no_column_has_a_time_without_its_zone(database_url: str) -> None:
    found = await execute(
        database_url,
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND data_type IN ('timestamp without time zone', 'time without time zone')",
    )
    assert found == []


@pytest.mark.services
async def test_a_stored_time_is_answered_in_utc(member: httpx.AsyncClient, database_url: str) -> None:
    assert await execute(database_url, "SELECT current_setting('TimeZone')") != ["UTC"]
    placed = (await member.post("/v1/orders", json={"sku": "MUG-1", "quantity": 1})).json()
    assert placed["created_at"].endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(placed["created_at"])) < timedelta(minutes=5)


async def test_a_log_line_is_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(create_app(valid_settings())) as client:
        await client.get("/v1/nothing")
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = datetime.fromisoformat(line["timestamp"])
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)
