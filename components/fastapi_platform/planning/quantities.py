"""Kubernetes quantities: parsed once, compared exactly.

Owns the arithmetic of `500m` and `512Mi`. Deliberately keeps exact fractions: a float would call `0.1` CPU and `100m`
different.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal

from .errors import Expectation, expect

_QUANTITY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?P<suffix>[A-Za-z]*(?:[eE][0-9]+)?)")
_FACTORS: dict[str, Decimal] = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal("1e3"), "M": Decimal("1e6"), "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"),
    "E": Decimal("1e18"), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}


def parse(text: str) -> Decimal | None:
    """The value of a quantity in its base unit, cores or bytes; None when Kubernetes could not read it."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    suffix = match["suffix"]
    if suffix in _FACTORS:
        return Decimal(match["number"]) * _FACTORS[suffix]
    exponent = re.fullmatch(r"[eE]([0-9]{1,2})", suffix)
    return Decimal(match["number"]) * Decimal(10) ** int(exponent[1]) if exponent else None


def is_quantity(text: str) -> bool:
    """Whether Kubernetes would read the text as a positive quantity."""
    value = parse(text)
    return value is not None and value > 0


def expectation(field: str, text: str, example: str) -> Expectation:
    """That a field holds a positive quantity."""
    return expect(
        field, is_quantity(text), want=f"a quantity such as {example}", why="Kubernetes cannot read it",
        fix=f"Write {field}: {example}, or what the service needs.",
    )


def at_most(smaller: str, larger: str) -> bool:
    """Whether one quantity is not larger than another; true when either cannot be read, which is said elsewhere."""
    low, high = parse(smaller), parse(larger)
    return low is None or high is None or low <= high
