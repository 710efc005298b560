"""Image references: what a release is made of.

Owns reading a reference and saying whether it is pinned. Deliberately never asks a registry: that a digest exists is
the cluster's to find out.
Source: https://github.com/distribution/reference
"""

import re
from dataclasses import dataclass

from .environment import Environment
from .errors import Expectation, expect

_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*?)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A parsed reference `repository[:tag][@digest]`."""

    repository: str
    tag: str
    """Empty when the reference has none."""
    digest: str
    """`sha256:` and 64 hex digits, or empty when the reference has none."""

    @property
    def version(self) -> str:
        """What people call this release: the tag, else the first 12 digits of the digest."""
        return self.tag or self.digest.removeprefix("sha256:")[:12]

    @property
    def pinned(self) -> bool:
        """Whether the reference can only ever mean one image."""
        return bool(self.digest)


def parse(reference: str) -> ImageReference | None:
    """The parts of a reference, or None when it is not one."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    return ImageReference(match["repository"], match["tag"] or "", match["digest"] or "")


def expectations(field: str, reference: str, environment: Environment) -> tuple[Expectation, ...]:
    """What an environment demands of an image: readable, never `latest`, pinned where it must be."""
    parsed = parse(reference)
    if parsed is None:
        return (expect(field, False, want="repository[:tag][@sha256:…]", why="the reference cannot be read"),)
    if environment.needs_digests:
        return (_pinned(field, parsed, environment),)
    return (_not_latest(field, parsed),)


def _pinned(field: str, image: ImageReference, environment: Environment) -> Expectation:
    return expect(
        field, image.pinned, want=f"{image.repository}@sha256:<64 digits>",
        why=f"in a {environment} stack a tag could be moved to code that nobody reviewed",
        fix=f"Set {field} to the digest that your build printed.",
    )


def _not_latest(field: str, image: ImageReference) -> Expectation:
    return expect(
        field, image.pinned or image.tag not in ("", "latest"), want=f"{image.repository}:<tag> or a digest",
        why="'latest' (also meant when there is no tag) changes under a running service",
    )
