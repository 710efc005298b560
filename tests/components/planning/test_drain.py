"""The drain budget: every inequality, at its edge."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import drain
from fastapi_platform.planning.drain import IN_CLUSTER, DrainBudget, LoadBalancer, Promise
from fastapi_platform.planning.errors import PlatformError

seconds = st.integers(min_value=0, max_value=900)
some_seconds = st.integers(min_value=1, max_value=900)


def behind_a_neg(**overrides: int) -> DrainBudget:
    figures = {"request_timeout_seconds": 30, "graceful_timeout_seconds": 30, "lame_duck_seconds": 5} | overrides
    return drain.plan(**figures, keep_alive_seconds=620, load_balancer=LoadBalancer())


def test_the_defaults_behind_a_neg_are_the_documented_ones():
    """R30 P20 K5 G30 T60 D30: the figures that everything else in the documentation is explained with."""
    budget = behind_a_neg()
    assert (budget.pre_stop_seconds, budget.termination_grace_seconds) == (20, 60)
    assert all(condition.holds for condition in budget.inequalities())


def test_without_a_lame_duck_the_pause_covers_the_lag_alone():
    assert behind_a_neg(lame_duck_seconds=0).pre_stop_seconds == 25


@given(seconds, some_seconds, seconds, seconds)
def test_a_planned_budget_always_covers_its_own_parts(lame_duck: int, graceful: int, request: int, lag: int):
    """Property: preStop and grace are computed, so only what somebody chose can be wrong."""
    budget = drain.plan(
        request_timeout_seconds=request, graceful_timeout_seconds=graceful, lame_duck_seconds=lame_duck,
        keep_alive_seconds=620, load_balancer=replace(IN_CLUSTER, removal_lag_seconds=lag),
    )
    broken = {condition.text for condition in budget.inequalities() if not condition.holds}
    assert broken == ({"G >= R"} if request > graceful else set())
    assert budget.pre_stop_seconds + lame_duck >= lag
    assert budget.termination_grace_seconds == budget.serving_seconds + drain.MARGIN_SECONDS


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"pre_stop_seconds": 19}, "P + K >= removal lag"),
        ({"graceful_timeout_seconds": 29, "termination_grace_seconds": 60}, "G >= R"),
        ({"termination_grace_seconds": 59}, "T >= P + K + G + 5"),
        ({"request_timeout_seconds": 31, "graceful_timeout_seconds": 31}, "R <= load balancer's timeout"),
        ({"load_balancer": LoadBalancer(drain_seconds=29)}, "R <= D <= P + K + G"),
        ({"load_balancer": LoadBalancer(drain_seconds=56)}, "R <= D <= P + K + G"),
        ({"keep_alive_seconds": 600}, "keep-alive > L"),
    ],
)
def test_one_second_too_few_breaks_its_inequality(change: dict[str, Any], broken: str):
    """Each change is one second (or one step) beyond the documented defaults, which hold."""
    budget = replace(behind_a_neg(), **change)
    texts = [condition.text for condition in budget.inequalities() if not condition.holds]
    assert broken in texts


def test_a_broken_inequality_shows_both_sides_with_numbers():
    short = replace(behind_a_neg(), termination_grace_seconds=59)
    condition = next(each for each in short.inequalities() if not each.holds)
    assert condition.numbers == "59 >= 20 + 5 + 30 + 5 = 60"


def test_a_request_that_is_too_long_names_everything_that_would_cut_it():
    demand = next(each for each in behind_a_neg(request_timeout_seconds=40).expectations() if not each.holds)
    assert (demand.field, demand.got, demand.want) == ("request_timeout_seconds", "40 seconds", "30 seconds or fewer")
    assert demand.why.endswith(
        "process.graceful_timeout_seconds, load_balancer.timeout_seconds, load_balancer.drain_seconds"
    )


@pytest.mark.parametrize(
    ("balancer", "field"),
    [(LoadBalancer(drain_seconds=56), "load_balancer.drain_seconds"),
     (LoadBalancer(idle_seconds=620), "process.keep_alive_seconds")],
)
def test_a_clock_that_does_not_fit_is_refused_by_name(balancer: LoadBalancer, field: str):
    budget = replace(behind_a_neg(), load_balancer=balancer)
    assert [each.field for each in budget.expectations() if not each.holds] == [field]


@given(some_seconds, some_seconds, st.none() | some_seconds, st.none() | some_seconds, st.none() | some_seconds)
def test_the_demands_on_settings_are_the_inequalities(
    request: int, graceful: int, timeout: int | None, drains: int | None, idle: int | None
):
    """Property: what settings are refused for is what a recorded pod is judged by, no more and no less."""
    budget = drain.plan(
        request_timeout_seconds=request, graceful_timeout_seconds=graceful, lame_duck_seconds=5,
        keep_alive_seconds=620,
        load_balancer=LoadBalancer(timeout_seconds=timeout, drain_seconds=drains, idle_seconds=idle),
    )
    demands = all(each.holds for each in budget.expectations())
    assert demands == all(condition.holds for condition in budget.inequalities())


def test_inside_a_cluster_no_load_balancer_is_asked_about():
    texts = [condition.text for condition in replace(behind_a_neg(), load_balancer=IN_CLUSTER).inequalities()]
    assert texts == ["P + K >= removal lag", "G >= R", "T >= P + K + G + 5"]


def test_no_lame_duck_cuts_connections_that_clients_keep_open():
    assert behind_a_neg(lame_duck_seconds=0).cuts_open_connections
    assert not behind_a_neg().cuts_open_connections


@given(some_seconds, seconds, st.none() | some_seconds)
def test_a_promise_survives_its_annotation(request: int, lag: int, timeout: int | None):
    promise = Promise(
        load_balancer=LoadBalancer(networks=("10.0.0.0/8",), removal_lag_seconds=lag, timeout_seconds=timeout),
        request_timeout_seconds=request,
    )
    assert drain.read_promise(promise.text()) == promise


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"request_timeout_seconds": 1, "load_balancer": {}}', "{"])
def test_something_else_in_the_annotation_is_no_promise(text: str):
    assert drain.read_promise(text) is None


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"removal_lag_seconds": -1}, "removal_lag_seconds"), ({"timeout_seconds": 0}, "timeout_seconds"),
     ({"networks": ("10.0.0.1/8",)}, "networks")],
)
def test_a_load_balancer_that_cannot_be_is_refused(arguments: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"LoadBalancer\.{field}"):
        LoadBalancer(**arguments)
