"""What the engine is doing, from the log of its events.

Owns reading that log while it grows: the one that Pulumi's Automation API reads too. Deliberately takes the URNs alone:
the rest of an event is the state of resources. Passes over a line that is no event: watching must not end a deploy.
Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

CHANGES = frozenset({"create", "update", "replace", "create-replacement"})
_BEGINS, _ENDS = "resourcePreEvent", ("resOutputsEvent", "resOpFailedEvent")


@dataclass(frozen=True, slots=True)
class EngineLog:
    """A growing file with an event a line; not there until the engine starts.

    It is read from its beginning each time: the engine starts it anew when the update follows its preview.
    """

    file: Path

    def changing(self) -> frozenset[str]:
        """URNs of the resources that are being changed now, or waited for after their change."""
        changing: set[tuple[str, str]] = set()
        for line in self._lines():
            event = _event(line)
            begins = _mapping(event.get(_BEGINS))
            if begins and not begins.get("planning"):
                step = _step(begins)
                if step[1] in CHANGES:
                    changing.add(step)
            for name in _ENDS:
                if ends := _mapping(event.get(name)):
                    changing.discard(_step(ends))
        return frozenset(urn for urn, _ in changing)

    def _lines(self) -> list[bytes]:
        try:
            return self.file.read_bytes().splitlines()
        except FileNotFoundError:
            return []


def _event(line: bytes) -> Mapping[str, Any]:
    """An event; nothing where the engine is still writing it."""
    try:
        return _mapping(json.loads(line))
    except ValueError:
        return {}


def _step(event: Mapping[str, Any]) -> tuple[str, str]:
    metadata = _mapping(event.get("metadata"))
    return str(metadata.get("urn")), str(metadata.get("op"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
