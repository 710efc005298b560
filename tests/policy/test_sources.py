"""Records from the documents of the engine."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform_policy import sources
from fastapi_platform_policy.record import Marker, Record, at, differs, markers

SECRET = {sources.SIGNATURE: sources.SECRET_SIGNATURE}
URN = "urn:pulumi:dev::shop::kubernetes:core/v1:ConfigMap::settings"
STACK = {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": sources.STACK_TYPE}


def state(**more: Any) -> dict[str, Any]:
    return {"urn": URN, "type": "kubernetes:core/v1:ConfigMap", "custom": True, **more}


def only(records: tuple[Record, ...]) -> Record:
    assert len(records) == 1
    return records[0]


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ({**SECRET, "ciphertext": "v1:x"}, Marker.SECRET),
        ({**SECRET, "plaintext": '"hunter2"'}, Marker.SECRET),
        ({**SECRET, "value": "hunter2"}, Marker.SECRET),
        ("[secret]", Marker.SECRET),
        *((unknown, Marker.UNKNOWN) for unknown in sorted(sources.UNKNOWNS)),
        ({sources.SIGNATURE: sources.OUTPUT_SIGNATURE, "secret": True, "value": "x"}, Marker.SECRET),
        ({sources.SIGNATURE: sources.OUTPUT_SIGNATURE, "value": 3.0}, 3),
        ({sources.SIGNATURE: sources.OUTPUT_SIGNATURE}, Marker.UNKNOWN),
        ({sources.SIGNATURE: "5cf8f73096256a8f31e491e813e4eb8e", "urn": URN}, {"urn": URN}),
        (2.0, 2),
        (2.5, 2.5),
        ([1.0, {"a": None}], [1, {"a": None}]),
    ],
)
def test_a_wire_value_is_read_as_what_it_means(wire: Any, value: Any):
    assert sources.decode(wire) == value


@given(st.recursive(st.text(alphabet="hunter2"), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_secret_survives_whatever_is_in_it(inner: Any):
    assert sources.decode({**SECRET, "value": inner}) is Marker.SECRET


def test_a_state_becomes_a_record_with_its_options():
    found = only(sources.from_states([STACK, state(
        inputs={"data": {"a": "b"}}, parent="p", dependencies=["z", "a"], protect=True,
        provider="urn:pulumi:dev::shop::pulumi:providers:kubernetes::cluster::1234",
        customTimeouts={"create": 420}, deleteBeforeReplace=True, replaceOnChanges=["*"],
        propertyDependencies={"data": ["y", "x"]}, aliases=["old"],
    )]))  # fmt: skip
    assert found.name == "settings"
    assert found.dependencies == ("a", "z")
    assert found.provider == "urn:pulumi:dev::shop::pulumi:providers:kubernetes::cluster"
    assert found.options.create_timeout_seconds == 420
    assert found.options.delete_before_replace
    assert found.property_dependencies == {"data": ("x", "y")}
    assert found.protect


def test_what_a_state_does_not_say_is_not_taken_for_a_no():
    """An exported state keeps no deleteBeforeReplace: a rule about it must not call every state a violation."""
    options = only(sources.from_states([state()])).options
    assert options.delete_before_replace is None
    assert options.replace_on_changes is None


def test_an_export_and_a_preview_hold_the_same_resources():
    exported = json.loads(json.dumps({"version": 3, "deployment": {"resources": [STACK, state()]}}))
    previewed = {"steps": [{"op": "create", "newState": state()}, {"op": "delete", "oldState": state()}]}
    assert sources.from_export(exported) == sources.from_preview(previewed) == sources.from_states([state()])


def test_what_waits_for_its_deletion_is_no_resource_of_the_stack():
    """After a replacement that failed half-way, an export lists one URN twice."""
    old = state(delete=True, inputs={"data": {"old": "1"}})
    exported = {"version": 3, "deployment": {"resources": [STACK, old, state(), old]}}
    assert sources.from_export(exported) == sources.from_states([state()])


def test_an_empty_stack_has_no_records():
    assert sources.from_export({"deployment": {}}) == ()


def test_a_path_tells_absent_from_unknown_from_value():
    value: Any = {"a": [{"b": 1}], "c": Marker.UNKNOWN, "d": None}
    assert at(value, "a", 0, "b") == 1
    assert at(value, "a", 1) is Marker.ABSENT
    assert at(value, "c", "anything", 3) is Marker.UNKNOWN
    assert at(value, "d") is Marker.ABSENT
    assert at(value, "a", "b") is Marker.ABSENT


def test_an_unknown_value_certainly_differs_from_nothing():
    assert not differs(Marker.UNKNOWN, True)
    assert differs(Marker.ABSENT, True)
    assert not differs(True, True)


def test_markers_are_found_wherever_they_are():
    value: Any = {"a": [Marker.UNKNOWN], "b": {"c": Marker.SECRET}}
    assert markers(value) == [("a[0]", Marker.UNKNOWN), ("b.c", Marker.SECRET)]
