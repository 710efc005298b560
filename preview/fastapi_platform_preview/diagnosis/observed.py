"""What a cluster says about one namespace, at one moment.

Owns reading objects and their events. Deliberately judges nothing; the objects are as `kubectl get --output json`
prints them.
Source: https://kubernetes.io/docs/reference/kubernetes-api/
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from fastapi_platform_policy.record import Value, at, items, mapping, text

_NEVER = datetime.min.replace(tzinfo=UTC)
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class Live:
    """One object of the cluster."""

    body: Mapping[str, Value]

    def at(self, *path: str | int) -> Value:
        """What stands at a path of the object."""
        return at(self.body, *path)

    @property
    def kind(self) -> str:
        """Its kind."""
        return text(self.at("kind"))

    @property
    def name(self) -> str:
        """Its name."""
        return text(self.at("metadata", "name"))

    @property
    def full_name(self) -> str:
        """How people call it."""
        return f"{self.kind} {self.name}"

    @property
    def uid(self) -> str:
        """What tells it from another one of the same name."""
        return text(self.at("metadata", "uid"))

    @property
    def owner(self) -> str:
        """The uid of whatever made it; empty when somebody wrote it."""
        return text(self.at("metadata", "ownerReferences", 0, "uid"))

    @property
    def created(self) -> datetime:
        """When it was made."""
        return moment(self.at("metadata", "creationTimestamp"))

    def number(self, *path: str | int) -> int:
        """A number at a path; 0 where there is none."""
        return number(self.at(*path))

    def condition(self, kind: str) -> Value:
        """One of its conditions; absent when it has none of that type."""
        return next((each for each in items(self.at("status", "conditions")) if text(at(each, "type")) == kind), None)

    def is_true(self, condition: str) -> bool:
        """Whether one of its conditions holds."""
        return at(self.condition(condition), "status") == "True"

    def is_false(self, condition: str) -> bool:
        """Whether one of its conditions is known not to hold."""
        return at(self.condition(condition), "status") == "False"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object, maybe several times."""

    about: str
    """Name of the object."""
    uid: str
    reason: str
    message: str
    warns: bool
    first: datetime
    last: datetime
    count: int


class Observed:
    """The objects of a namespace."""

    def __init__(self, objects: Iterable[Mapping[str, Value]], now: datetime) -> None:
        everything = [Live(each) for each in objects]
        self.objects = tuple(each for each in everything if each.kind != "Event")
        events = sorted((_event(each) for each in everything if each.kind == "Event"), key=lambda each: each.last)
        self.events = tuple(events)
        # A clock here that is behind the cluster's would make everything there younger than nothing.
        self.now = max([now, *(each.last for each in events)])

    @cached_property
    def _owned(self) -> Mapping[str, list[Live]]:
        found: defaultdict[str, list[Live]] = defaultdict(list)
        for each in self.objects:
            found[each.owner].append(each)
        return found

    @cached_property
    def _events_of(self) -> Mapping[str, list[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for each in self.events:
            found[each.uid].append(each)
        return found

    def of_kind(self, kind: str) -> tuple[Live, ...]:
        """The objects of a kind."""
        return tuple(each for each in self.objects if each.kind == kind)

    def named(self, kind: str, name: str) -> Live | None:
        """The object of that name."""
        return next((each for each in self.of_kind(kind) if each.name == name), None)

    def made_by(self, owner: Live, kind: str) -> tuple[Live, ...]:
        """What an object has made, the oldest first."""
        found = (each for each in self._owned.get(owner.uid, ()) if each.kind == kind)
        return tuple(sorted(found, key=lambda each: (each.created, each.name)))

    def events_of(self, live: Live, *reasons: str, saying: str = "") -> tuple[Event, ...]:
        """What happened to an object, the latest last.

        Args:
            live: The object.
            reasons: The reasons that matter; none for all.
            saying: What the message must contain.
        """
        events = self._events_of.get(live.uid, ())
        return tuple(each for each in events if (not reasons or each.reason in reasons) and saying in each.message)

    def age_seconds(self, since: datetime) -> float:
        """How long ago that was."""
        return (self.now - since).total_seconds()


def moment(value: Value) -> datetime:
    """A time stamp; the beginning of time where there is none."""
    stamp = _FRACTION.sub("", text(value))
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")) if stamp else _NEVER


def number(value: Value) -> int:
    """A number; 0 for anything else."""
    return value if isinstance(value, int) else 0


def _event(live: Live) -> Event:
    stated = [moment(live.at(*path)) for path in (("lastTimestamp",), ("series", "lastObservedTime"), ("eventTime",))]
    last = max(stated)
    first = moment(live.at("firstTimestamp"))
    return Event(
        about=text(live.at("involvedObject", "name")),
        uid=text(live.at("involvedObject", "uid")),
        reason=text(live.at("reason")),
        message=text(live.at("message")),
        warns=live.at("type") == "Warning",
        first=last if first == _NEVER else first,
        last=last,
        count=max(live.number("count"), live.number("series", "count"), 1),
    )


def labels_of(live: Live) -> Mapping[str, Value]:
    """The labels of an object."""
    return mapping(live.at("metadata", "labels"))
