"""The recommended labels. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""

import re

from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import labels
from fastapi_platform.planning.environment import Environment

VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
names = st.from_regex(r"[a-z]([-a-z0-9]{0,16}[a-z0-9])?", fullmatch=True)


def test_a_selector_names_no_version():
    """A selector is immutable: one with a version refuses the next release."""
    assert labels.VERSION not in labels.selector("orders", component="api")


@given(names, names, names, names)
def test_two_components_never_share_a_selector(service: str, component: str, other_service: str, other: str):
    one, two = labels.selector(service, component=component), labels.selector(other_service, component=other)
    assert (one == two) == ((service, component) == (other_service, other))


def test_the_lasting_labels_contain_the_selector():
    lasting = labels.lasting("orders", component="api", environment=Environment.LOCAL)
    assert labels.selector("orders", component="api").items() <= lasting.items()
    assert labels.VERSION not in lasting


@given(st.text())
def test_any_text_becomes_a_valid_label_value(text: str):
    assert VALUE.fullmatch(labels.label_value(text))


def test_the_version_label_is_the_release():
    assert labels.version("orders:1.2") == {labels.VERSION: "1.2"}
    assert labels.version("orders") == {}
