"""When a scheduled job runs: what the cluster would refuse is refused before the deploy."""

import pytest

from fastapi_platform.planning import schedule


@pytest.mark.parametrize(
    "text",
    ["0 3 * * *", "*/15 0-6,22 1,15 JAN-mar mon-FRI", "59 23 31 12 6", "0/5 * * * *", "0 0 * * SUN",
     "0 3 ? * *", "0  3 * * *", "@daily", "@every 1h30m"],
)
def test_a_schedule_of_kubernetes_is_accepted(text: str):
    assert schedule.is_schedule(text)


@pytest.mark.parametrize(
    "text",
    ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "*/0 * * * *", "5-1 * * * *",
     "* * * MOX *", "* * * * MOX", "* * * *", "* * * * * *", "", "@reboot", "@every",
     "@every day", "every day", "-1 * * * *", "1- * * * *"],
)
def test_what_kubernetes_would_refuse_is_refused(text: str):
    assert not schedule.is_schedule(text)


@pytest.mark.parametrize(
    ("zone", "known"), [("Europe/Berlin", True), ("US/Eastern", True), ("Berln", False), ("Local", False), ("", False)]
)
def test_a_zone_that_nobody_knows_is_refused(zone: str, known: bool):
    assert [each.holds for each in schedule.expectations("@daily", zone)] == [True, known]
