"""The file of an export, without a service."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exports.table import lines


def read(content: bytes) -> list[list[str]]:
    """Read a file as its receiver does."""
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "  =", "\uff1d", "\u00a0="])
def test_a_formula_becomes_text(start: str) -> None:
    ((cell,),) = read(lines([[f"{start}cmd|'/c calc'!A0"]]))
    assert cell == f"'{start}cmd|'/c calc'!A0"


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1), max_size=5))
def test_text_comes_back_as_it_was_but_for_the_apostrophe(rows: list[list[str]]) -> None:
    back = read(lines(rows))
    assert [[cell.removeprefix("'") for cell in row] for row in back] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not [cell for row in back for cell in row if cell.strip()[:1] in tuple("=+-@")]


def test_times_are_utc_and_numbers_are_numbers() -> None:
    moment = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=1)))
    assert (
        lines([[moment, moment.astimezone(UTC), -3]]) == b"2026-11-21T11:00:00+00:00,2026-11-21T11:00:00+00:00,-3\r\n"
    )
