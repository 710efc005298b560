"""Image references. Source: https://github.com/distribution/reference"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_platform.planning import images
from fastapi_platform.planning.environment import Environment

DIGEST = "sha256:" + "a" * 64
STRICT = (Environment.DEVELOPMENT, Environment.PRODUCTION)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("postgres", ("postgres", "", "")),
        ("postgres:17", ("postgres", "17", "")),
        ("localhost:5000/orders", ("localhost:5000/orders", "", "")),
        ("localhost:5000/orders:1.2", ("localhost:5000/orders", "1.2", "")),
        (f"europe-docker.pkg.dev/p/r/orders:1.2@{DIGEST}", ("europe-docker.pkg.dev/p/r/orders", "1.2", DIGEST)),
        (f"registry.example/orders@{DIGEST}", ("registry.example/orders", "", DIGEST)),
    ],
)
def test_a_reference_is_read_into_its_parts(reference: str, parts: tuple[str, str, str]):
    found = images.parse(reference)
    assert found is not None
    assert (found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize("reference", ["", "Orders", "orders:", "orders@sha256:abc", "orders @x", ":1", f"@{DIGEST}"])
def test_what_is_no_reference_is_refused(reference: str):
    assert images.parse(reference) is None
    assert not images.expectations("image", reference, Environment.LOCAL)[0].holds


@pytest.mark.parametrize(
    ("reference", "environment", "accepted"),
    [
        ("orders:dev", Environment.LOCAL, True),
        ("orders:latest", Environment.LOCAL, False),
        ("orders", Environment.LOCAL, False),
        (f"orders:latest@{DIGEST}", Environment.LOCAL, True),
        *(("orders:1.2", environment, False) for environment in STRICT),
        *((f"orders@{DIGEST}", environment, True) for environment in STRICT),
        *((f"orders:1.2@{DIGEST}", environment, True) for environment in STRICT),
    ],
)
def test_only_a_local_stack_takes_a_tag_and_nobody_latest(reference: str, environment: Environment, accepted: bool):
    """A tag can be moved to other code after the review, `latest` under a running service."""
    assert all(each.holds for each in images.expectations("image", reference, environment)) is accepted


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))
def test_the_version_of_a_tagged_image_is_its_tag(tag: str):
    found = images.parse(f"registry.example/orders:{tag}@{DIGEST}")
    assert found is not None
    assert found.version == tag


def test_the_version_of_a_bare_digest_is_its_beginning():
    found = images.parse(f"orders@{DIGEST}")
    assert found is not None
    assert found.version == "a" * 12
