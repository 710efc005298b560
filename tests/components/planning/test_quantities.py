"""Quantities. Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import quantities
from fastapi_platform.planning.errors import PlatformError


@given(st.integers(min_value=0, max_value=10**9))
def test_cpu_survives_the_round_trip(millis: int):
    assert quantities.cpu_millis(quantities.format_cpu(millis)) == millis


@given(st.integers(min_value=0, max_value=2**62))
def test_bytes_survive_the_round_trip(size: int):
    assert quantities.size_bytes(quantities.format_bytes(size)) == size


@pytest.mark.parametrize(
    ("text", "millis"),
    [("1", 1000), ("0.1", 100), ("100m", 100), (".5", 500), ("1e3m", None), ("1500u", 2), ("2e1", 20000)],
)
def test_cpu_is_read_as_kubernetes_reads_it(text: str, millis: int | None):
    if millis is None:
        assert not quantities.is_quantity(text)
    else:
        assert quantities.cpu_millis(text) == millis


@pytest.mark.parametrize(
    ("text", "size"), [("1Ki", 1024), ("1k", 1000), ("1.5Gi", 1610612736), ("128974848000m", 128974848), ("1E", 10**18)]
)
def test_bytes_are_read_as_kubernetes_reads_them(text: str, size: int):
    assert quantities.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "1 Gi", "1GiB", "-1", "one", "1mm", "0", "0Mi"])
def test_what_is_no_positive_quantity_is_refused(text: str):
    assert not quantities.expectation("memory", text, "256Mi").holds


def test_reading_nonsense_says_what_a_quantity_is():
    with pytest.raises(PlatformError, match="got lots, want a quantity such as 250m or 512Mi"):
        quantities.parse("lots")


def test_equal_amounts_compare_equal_whatever_their_suffix():
    """A float would call 0.1 and 100m different, and refuse a limit that equals its request."""
    assert quantities.at_most("0.1", "100m")
    assert quantities.at_most("100m", "0.1")
    assert not quantities.at_most("101m", "0.1")
