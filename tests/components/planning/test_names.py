"""Names with a limit. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastapi_platform.planning import names
from fastapi_platform.planning.errors import PlatformError

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
bases = st.from_regex(re.compile(r"[a-z][a-z0-9]([-a-z0-9]{0,90}[a-z0-9])?"), fullmatch=True)
suffixes = st.from_regex(re.compile(r"[a-z0-9]{0,12}"), fullmatch=True)


@given(bases, suffixes)
def test_a_fitted_name_is_a_dns_label_within_the_limit(base: str, suffix: str):
    name = names.fit(base, suffix=suffix)
    assert len(name) <= names.LABEL_LIMIT
    assert LABEL.fullmatch(name)


@given(bases)
def test_a_fitted_name_stays_as_it_is_when_it_is_fitted_again(base: str):
    once = names.fit(base)
    assert names.fit(once) == once


@given(bases, bases, suffixes)
def test_different_names_stay_different(one: str, other: str, suffix: str):
    """A bare slice would make two services of one team write into each other's objects."""
    assume(one != other)
    assume(not _shortens_to(one, other, suffix) and not _shortens_to(other, one, suffix))
    assert names.fit(one, suffix=suffix) != names.fit(other, suffix=suffix)


def _shortens_to(one: str, other: str, suffix: str) -> bool:
    """Whether somebody chose as a name what another one is shortened to, which nobody does by accident."""
    return names.fit(one, suffix=suffix) == f"{other}-{suffix}".rstrip("-")


@given(bases, suffixes)
def test_the_suffix_survives_whole(base: str, suffix: str):
    """The suffix tells one release's migration from another's."""
    assert names.fit(base, suffix=suffix).endswith(suffix)


def test_a_name_that_leaves_no_room_for_its_hash_is_refused():
    with pytest.raises(PlatformError, match="nothing would be left of the name"):
        names.fit("a" * 30, suffix="b" * 12, limit=22)


@pytest.mark.parametrize("base", ["", "Orders", "1orders", "orders-", "or_ders", "örders"])
def test_what_kubernetes_refuses_is_refused(base: str):
    with pytest.raises(PlatformError, match=r"names\.fit\.base"):
        names.fit(base)


@given(st.text(), st.text())
def test_the_digest_tells_where_one_part_ends(one: str, other: str):
    assume(one and other and "\n" not in one + other)
    assert names.digest(one, other) != names.digest(one + other)


@pytest.mark.parametrize(("name", "accepted"), [("a" * 30, True), ("a" * 31, False), ("a-", False)])
def test_a_service_name_leaves_room_for_what_is_added_to_it(name: str, accepted: bool):
    assert names.service_expectation("service", name).holds is accepted


def test_the_longest_service_and_role_need_no_shortening():
    """Names in runbooks are read by people; the limits exist so that no everyday name ends in a hash."""
    service, role = "s" * names.SERVICE_LIMIT, "r" * names.ROLE_LIMIT
    for name, limit in (
        (f"{service}-migrate-{'0' * 12}", names.LABEL_LIMIT),
        (f"{service}-worker-{role}", names.LABEL_LIMIT),
    ):
        assert len(name) <= limit
