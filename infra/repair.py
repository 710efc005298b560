"""A refused stack file made readable again, so that one run reports what is wrong with the rest of it too.

Owns the stand-ins. Deliberately builds nothing that is deployed: a document that needed repair is always refused.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import tree
from tree import Path

_SECRET = {"name": "stand-in", "key": "stand-in"}
STAND_INS: dict[str, Any] = {
    "cluster": {"kind": "existing", "context": "-"},
    "database": {"kind": "external", "network": "192.0.2.0/24", "direct_secret": _SECRET, "secret": _SECRET},
    "deletion_protection": True,
    "edge": {"kind": "none"},
    "environment": "local",
    "name": "service",
    "service": {"image": f"stand-in@sha256:{'0' * 64}"},
}
"""What a required section is taken for while the others are checked; none causes a problem of its own, anywhere."""

COLLECTIONS = ("schedules", "workers")
"""Sections whose entries stand for themselves: a bad one is left out, and the others are checked."""


def without(raw: Mapping[str, Any], bad: Iterable[Path]) -> dict[str, Any]:
    """The document without its refused values."""
    repaired = deepcopy(dict(raw))
    for path in bad:
        tree.remove(repaired, path)
    return repaired


def completed(raw: Mapping[str, Any], bad: Iterable[Path]) -> dict[str, Any]:
    """The document with stand-ins for required sections that are missing or beyond repair."""
    repaired = deepcopy(dict(raw))
    for path in bad:
        section = path[0]
        if section in COLLECTIONS:
            tree.remove(repaired, path[:2])
        elif section in STAND_INS:
            repaired[str(section)] = _stand_in(str(section), repaired.get(str(section)))
    return repaired


def _stand_in(section: str, here: object) -> Any:
    stand_in, given = tree.mapping(STAND_INS[section]), tree.mapping(here)
    if stand_in is None or given is None or "kind" in stand_in:
        return STAND_INS[section]
    return given | stand_in
