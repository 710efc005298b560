"""The file of an export.

Owns columns and format: CSV of RFC 4180 with a head line. Cells that a spreadsheet would take for a formula begin
with an apostrophe, because whoever opens the file trusts us, and its text comes from clients.
Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

HEAD = ("id", "sku", "quantity", "created_at")
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_CONTROL_STARTS = ("\t", "\r", "\n")


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as lines of the file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and _is_formula(value):
        return f"'{value}"
    return value


def _is_formula(value: str) -> bool:
    return value.startswith(_CONTROL_STARTS) or value.lstrip().startswith(_FORMULA_STARTS)
