"""A stack file with several mistakes: each is told, in the words of the stack file, and none hides another."""

import contextlib
from copy import deepcopy
from typing import Any

import pytest
import repair
from hypothesis import given
from hypothesis import strategies as st
from settings import parse

from fastapi_platform import PlatformError
from fastapi_platform.planning.errors import Problem
from fastapi_platform_policy.record import mapping
from tests.conftest import EVERYTHING, changed, stack_settings


def refused(settings: dict[str, Any]) -> list[str]:
    """Messages of the error that the settings end in, without their next step."""
    with pytest.raises(PlatformError) as error:
        parse(settings)
    return [str(problem).partition(";")[0] for problem in error.value.problems]


def test_a_shape_and_a_value_in_one_group_are_both_told():
    process = {"server": "hypercorn", "workers": 0, "app": "main"}
    assert refused(changed(stack_settings("prod"), "service.process", process)) == [
        "service.process.server: got hypercorn, want one of runtime, uvicorn, gunicorn or image",
        "service.process.app: got main, want module:attribute",
        "service.process.workers: got 0, want 1 to 64",
    ]


def test_a_secret_without_its_key_hides_nothing_else():
    bad = changed(stack_settings("prod"), "service.secrets", {"API_TOKEN": {"name": "hunter2-of-somebody"}})
    bad = changed(changed(bad, "name", "a" * 40), "service.port", 1)
    assert refused(bad) == [
        f"name: got {'a' * 40} (40 characters), want a DNS label of 30 characters or fewer",
        "service.secrets.API_TOKEN.key: got nothing, want a value",
        "service.port: got 1, want 1024 to 65535",
    ]


def test_a_bad_name_is_told_once():
    assert refused(changed(stack_settings("local"), "name", "bestellungen-ü")) == [
        "name: got bestellungen-ü (14 characters), want a DNS label of 30 characters or fewer"
    ]


def test_the_edge_is_called_what_the_stack_file_calls_it():
    bad = changed(stack_settings("prod"), "edge.networks", ["abc"])
    bad = changed(changed(bad, "service.env", {"DB_PASSWORD": "x"}), "database.network", "10.20.0.1")
    assert refused(bad) == [
        "database.network: got 10.20.0.1, want a network such as 10.20.0.0/28",
        "edge.networks: got abc, want networks such as 35.191.0.0/16",
        "service.env: got DB_PASSWORD in clear, want no credential in clear",
    ]
    with pytest.raises(PlatformError) as error:
        parse(changed(stack_settings("prod"), "service.request_timeout_seconds", 60))
    assert "edge.timeout_seconds" in str(error.value)
    assert "load_balancer" not in str(error.value)


def test_a_stand_in_is_the_same_for_the_next_stack_file():
    """Two keys of one section are missing: the second repair must not reach into what the first one put there."""
    before = deepcopy(repair.STAND_INS)
    for section in ("cluster", "database", "service"):
        refused(changed(stack_settings("prod"), section, {}))
    assert before == repair.STAND_INS


def test_an_image_is_refused_where_it_stands():
    assert refused(changed(stack_settings("local"), "database.image", "postgres:latest"))[0].startswith(
        "database.image: got postgres:latest"
    )


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place of a document where something stands."""
    inner = [place for key, child in mapping(value).items() for place in places(child, (*path, key))]
    return [path, *inner] if path else inner


def problems_of(settings: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        parse(settings)
    except PlatformError as error:
        return error.problems
    return ()


WHOLE = stack_settings(EVERYTHING)
WRONG = st.sampled_from([None, "", "hunter2", -1, 0.5, True, [], [1], ["x"], {}, {"name": "x"}, {"kind": "external"}])


@given(st.lists(st.tuples(st.sampled_from(places(WHOLE)), WRONG), min_size=1, max_size=4))
def test_no_combination_of_mistakes_ends_in_anything_but_messages(mistakes: list[tuple[tuple[str, ...], Any]]):
    """Property: what a person may write wrong, alone or together, is told by path and never as a traceback."""
    bad = WHOLE
    for path, wrong in mistakes:
        with contextlib.suppress(AttributeError, TypeError):  # an earlier mistake took the place away
            bad = changed(bad, ".".join(path), wrong)
    problems = problems_of(bad)
    assert all(problem.path for problem in problems)
    assert "stand-in" not in "".join(str(problem) for problem in problems)
