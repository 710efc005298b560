"""When a scheduled job runs.

Owns what a schedule may say: the cron fields that Kubernetes reads, and the time zone. Deliberately computes no run:
the cluster does.
Sources: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
https://docs.python.org/3/library/zoneinfo.html (the package tzdata knows the same zones on every machine)
"""

import re
import zoneinfo
from functools import cache

from .errors import Expectation, expect

_MACRO = re.compile(
    r"@(?:yearly|annually|monthly|weekly|daily|midnight|hourly|every (?:[0-9]+(?:\.[0-9]+)?(?:ms|us|µs|ns|h|m|s))+)"
)
_PART = re.compile(r"(?:[*?]|(?P<low>[0-9A-Za-z]+)(?:-(?P<high>[0-9A-Za-z]+))?)(?:/(?P<step>[0-9]+))?")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[range, tuple[str, ...]], ...] = (
    (range(60), ()), (range(24), ()), (range(1, 32), ()), (range(1, 13), _MONTHS), (range(7), _DAYS)
)
"""Minute, hour, day of the month, month, day of the week: allowed numbers, and names of them from the first on."""


def is_schedule(text: str) -> bool:
    """Whether Kubernetes would accept the text: five cron fields within their ranges, or `@daily` and its like."""
    fields = text.split()
    return _MACRO.fullmatch(text) is not None or (
        len(fields) == len(_FIELDS)
        and all(_is_field(field, *allowed) for field, allowed in zip(fields, _FIELDS, strict=True))
    )


def expectations(schedule: str, time_zone: str) -> tuple[Expectation, ...]:
    """That the cluster knows when to run a job."""
    return (
        expect(
            "schedule", is_schedule(schedule), want="five cron fields such as '0 3 * * *', or @daily",
            why="Kubernetes refuses other schedules",
        ),
        expect(
            "time_zone", _is_zone(time_zone), want="an IANA name such as Etc/UTC or Europe/Berlin",
            why="Kubernetes refuses other zones",
        ),
    )


def _is_field(text: str, numbers: range, names: tuple[str, ...]) -> bool:
    return all(_is_part(part, numbers, names) for part in text.split(","))


def _is_part(text: str, numbers: range, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(text)
    if match is None or match["step"] == "0":
        return False
    bounds = [_number(bound, numbers, names) for bound in match.group("low", "high") if bound is not None]
    return all(bound in numbers for bound in bounds) and bounds == sorted(bounds)


def _number(text: str, numbers: range, names: tuple[str, ...]) -> int:
    if text.upper() in names:
        return numbers.start + names.index(text.upper())
    return int(text) if text.isdecimal() else -1


@cache
def _is_zone(name: str) -> bool:
    return name in zoneinfo.available_timezones()
