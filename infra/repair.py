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


def repaired(raw: Mapping[str, Any], bad: Iterable[Path]) -> dict[str, Any]:
    """The document without its refused values.

    Where something is missing, what it is missing from is taken out; for a required section a stand-in takes over.
    """
    document = deepcopy(dict(raw))
    for path in bad:
        here = tree.existing(document, path)
        if len(here) > 1 or (here and here[0] not in STAND_INS):
            tree.remove(document, here)
        else:
            document[str(path[0])] = deepcopy(_stand_in(str(path[0]), document, whole=len(path) == 1))
    return document


def _stand_in(section: str, document: Mapping[str, Any], *, whole: bool) -> Any:
    """The stand-in of a section that is refused as a whole, or what is stated with the stand-in's keys added."""
    stand_in, given = tree.mapping(STAND_INS.get(section)), tree.mapping(document.get(section))
    if whole or stand_in is None or given is None or "kind" in stand_in:
        return STAND_INS.get(section, {})
    return given | stand_in
