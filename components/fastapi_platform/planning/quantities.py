"""Kubernetes quantities: parsed once, compared exactly.

Owns the arithmetic of `500m` and `512Mi`. Deliberately keeps exact fractions: a float would call `0.1` CPU and `100m`
different.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal

from .errors import Expectation, PlatformError, Problem, expect, shown

_QUANTITY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?P<suffix>[A-Za-z]*(?:[eE][0-9]+)?)")
_FACTORS: dict[str, Decimal] = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal("1e3"), "M": Decimal("1e6"), "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"),
    "E": Decimal("1e18"), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}
_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")


def parse(text: str) -> Decimal:
    """The value of a quantity in its base unit: cores or bytes.

    Raises:
        PlatformError: when the text is not a quantity.
    """
    value = _parse(text)
    if value is None:
        raise PlatformError([_unreadable(text)])
    return value


def is_quantity(text: str) -> bool:
    """Whether Kubernetes would read the text as a positive quantity."""
    value = _parse(text)
    return value is not None and value > 0


def cpu_millis(text: str) -> int:
    """Thousandths of a core, rounded up as the scheduler does."""
    return _ceil(parse(text) * 1000)


def size_bytes(text: str) -> int:
    """Bytes, rounded up as Kubernetes does."""
    return _ceil(parse(text))


def format_cpu(millis: int) -> str:
    """Thousandths of a core as a quantity: whole cores without a suffix."""
    return f"{millis // 1000}" if millis % 1000 == 0 else f"{millis}m"


def format_bytes(size: int) -> str:
    """Bytes as a quantity with the largest binary suffix that is exact."""
    for suffix in _BINARY:
        factor = int(_FACTORS[suffix])
        if size and size % factor == 0:
            return f"{size // factor}{suffix}"
    return f"{size}"


def expectation(field: str, text: str, example: str) -> Expectation:
    """That a field holds a positive quantity."""
    return expect(
        field, is_quantity(text), want=f"a quantity such as {example}", why="Kubernetes cannot read it",
        fix=f"Write {field}: {example}, or what the service needs.",
    )


def at_most(smaller: str, larger: str) -> bool:
    """Whether one quantity is not larger than another; true when either cannot be read, which is said elsewhere."""
    low, high = _parse(smaller), _parse(larger)
    return low is None or high is None or low <= high


def _parse(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    suffix = match["suffix"]
    if suffix in _FACTORS:
        return Decimal(match["number"]) * _FACTORS[suffix]
    exponent = re.fullmatch(r"[eE]([0-9]{1,2})", suffix)
    return Decimal(match["number"]) * Decimal(10) ** int(exponent[1]) if exponent else None


def _ceil(value: Decimal) -> int:
    whole = int(value)
    return whole if whole == value else whole + 1


def _unreadable(text: str) -> Problem:
    return Problem(
        "quantities.parse", "text", shown(text), "a quantity such as 250m or 512Mi", "Kubernetes cannot read it",
        "Correct it.",
    )
