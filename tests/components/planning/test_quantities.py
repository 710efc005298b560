"""Quantities. Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import quantities


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", "1"), ("0.1", "0.1"), ("100m", "0.1"), (".5", "0.5"), ("1500u", "0.0015"), ("2e1", "20"),
        ("1Ki", "1024"), ("1k", "1000"), ("1.5Gi", "1610612736"), ("128974848000m", "128974848"), ("1E", "1e18"),
    ],
)
def test_an_amount_is_read_as_kubernetes_reads_it(text: str, amount: str):
    assert quantities.parse(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "1 Gi", "1GiB", "-1", "one", "1mm", "1e3m", "0", "0Mi"])
def test_what_is_no_positive_quantity_is_refused(text: str):
    assert not quantities.expectation("memory", text, "256Mi").holds


@given(st.integers(min_value=0, max_value=2**62), st.integers(min_value=0, max_value=2**62))
def test_amounts_compare_as_numbers_do(smaller: int, larger: int):
    assert quantities.at_most(f"{smaller}m", f"{larger}m") is (smaller <= larger)
    assert quantities.at_most(f"{smaller}Ki", f"{larger * 1024}") is (smaller <= larger)


def test_equal_amounts_compare_equal_whatever_their_suffix():
    """A float would call 0.1 and 100m different, and refuse a limit that equals its request."""
    assert quantities.at_most("0.1", "100m")
    assert quantities.at_most("100m", "0.1")
    assert not quantities.at_most("101m", "0.1")
