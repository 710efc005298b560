"""The recommended labels, and which of them select.

Owns the label sets of everything the platform creates. Deliberately keeps `version` out of every selector: a selector
is immutable, and one that names a version either blocks the next release or loses the old pods in the middle of it.
Objects that outlive a release carry no version either, or every deploy would touch every object.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

import re

from . import images
from .environment import Environment

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
VERSION = "app.kubernetes.io/version"
ENVIRONMENT = "fastapi-platform/environment"
"""What the stack promises; rules judge production more strictly, and a workload without it as production."""

VALUE_LIMIT = 63
"""Characters in a label value."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]+")


def selector(service: str, *, component: str) -> dict[str, str]:
    """Labels that pick the pods of one component of one service, and nothing else.

    Args:
        service: Name of the service the pods belong to.
        component: Its part in the service: `api`, `worker-emails`, `migration`, `database` …
    """
    return {NAME: service, INSTANCE: f"{service}-{component}", COMPONENT: component}


def lasting(service: str, *, component: str, environment: Environment) -> dict[str, str]:
    """Labels of an object that outlives a release: the selector's, and what never changes with a deploy."""
    return selector(service, component=component) | {
        PART_OF: service,
        MANAGED_BY: "pulumi",
        ENVIRONMENT: environment.value,
    }


def version(image: str) -> dict[str, str]:
    """The version label of a release; empty when the reference says none."""
    parsed = images.parse(image)
    value = label_value(parsed.version) if parsed else ""
    return {VERSION: value} if value else {}


def label_value(text: str) -> str:
    """The text as a valid label value: other characters become '-', the rest is cut at the limit.

    For values that only describe. A value that identifies goes through `names.fit`, which keeps different texts apart.
    """
    return _NOT_ALLOWED.sub("-", text)[:VALUE_LIMIT].strip("-_.")
