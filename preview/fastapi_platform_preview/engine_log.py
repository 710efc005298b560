"""What the engine is doing, from the log of its events.

Owns reading that log while it grows: the one that Pulumi's Automation API reads too. Deliberately takes the URNs alone:
the rest of an event is the state of resources. Passes over a line that is no event: watching must not end a deploy.
Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

CHANGES = frozenset({"create", "update", "replace", "create-replacement"})
_BEGINS, _ENDS = "resourcePreEvent", ("resOutputsEvent", "resOpFailedEvent")


@dataclass(slots=True)
class EngineLog:
    """A growing file with an event a line; not there until the engine starts."""

    file: Path
    _read: int = 0
    _open: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def changing(self) -> frozenset[str]:
        """URNs of the resources that are being changed now, or waited for after their change."""
        for line in self._new_lines():
            self._take(line)
        return frozenset(urn for urn, _ in self._open)

    def _new_lines(self) -> list[bytes]:
        try:
            with self.file.open("rb") as log:
                log.seek(self._read)
                text = log.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.splitlines()

    def _take(self, line: bytes) -> None:
        try:
            event = _mapping(json.loads(line))
        except ValueError:
            return
        begins = _mapping(event.get(_BEGINS))
        if begins and not begins.get("planning"):
            step = _step(begins)
            if step[1] in CHANGES:
                self._open.add(step)
        for name in _ENDS:
            if ends := _mapping(event.get(name)):
                self._open.discard(_step(ends))


def _step(event: Mapping[str, Any]) -> tuple[str, str]:
    metadata = _mapping(event.get("metadata"))
    return str(metadata.get("urn")), str(metadata.get("op"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
