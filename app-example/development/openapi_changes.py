"""Whether one API description breaks the clients of another.

Owns a small comparison: what a client may send must stay allowed, and what it relies on in an answer must stay there.
Deliberately incomplete and on the strict side: it knows the keywords that our models produce, reports a changed
pattern without comparing the languages of the two, and looks at no text, example or security scheme. It runs with the
tests, on any machine; a release is judged by oasdiff as well, which knows more and is a program of another language.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

UPPER_BOUNDS = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
LOWER_BOUNDS = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
MAX_DEPTH = 20
"""Deepest nesting that is compared; a schema that contains itself ends there."""


def breaking_changes(released: Schema, current: Schema) -> list[str]:
    """Return what a client of the released API would trip over, one line each."""
    found: list[str] = []
    for path, operations in released["paths"].items():
        for method, operation in operations.items():
            now = current["paths"].get(path, {}).get(method)
            where = f"{method.upper()} {path}"
            if now is None:
                found.append(f"{where}: removed")
                continue
            found += _parameters(where, Side(released, operation, sent=True), Side(current, now, sent=True))
            found += _bodies(where, Side(released, operation, sent=True), Side(current, now, sent=True))
            found += _answers(where, Side(released, operation, sent=False), Side(current, now, sent=False))
    return found


@dataclass(frozen=True, slots=True)
class Side:
    """One part of one description, and whether clients send it or receive it."""

    document: Schema
    part: Schema
    sent: bool

    def of(self, part: Schema) -> "Side":
        """Return another part of the same description, behind its reference."""
        while "$ref" in part:
            target: Any = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            part = target
        return Side(self.document, part, self.sent)

    def variants(self) -> dict[str, "Side"]:
        """Return the alternatives of a schema by their type."""
        several = self.part.get("anyOf") or self.part.get("oneOf")
        if several is None:
            return {str(self.part.get("type", "anything")): self}
        return {name: each for one in several for name, each in self.of(one).variants().items()}


def _parameters(where: str, old: Side, new: Side) -> Iterator[str]:
    before = {(each["in"], each["name"]): each for each in old.part.get("parameters", ())}
    after = {(each["in"], each["name"]): each for each in new.part.get("parameters", ())}
    for key in before.keys() - after.keys():
        yield f"{where}: {' '.join(key)} removed"
    for key, parameter in after.items():
        name = f"{where}: {' '.join(key)}"
        known = before.get(key)
        if parameter.get("required") and not (known or {}).get("required"):
            yield f"{name} is required now"
        if known is not None:
            yield from _schemas(name, old.of(known["schema"]), new.of(parameter["schema"]))


def _bodies(where: str, old: Side, new: Side) -> Iterator[str]:
    before, after = old.part.get("requestBody", {}), new.part.get("requestBody", {})
    if after.get("required") and not before.get("required"):
        yield f"{where}: body is required now"
    yield from _contents(f"{where}: body", old.of(before), new.of(after))


def _answers(where: str, old: Side, new: Side) -> Iterator[str]:
    for status, answer in old.part["responses"].items():
        if status not in new.part["responses"]:
            yield f"{where}: {status} removed"
        else:
            yield from _contents(f"{where}: {status}", old.of(answer), new.of(new.part["responses"][status]))


def _contents(where: str, old: Side, new: Side) -> Iterator[str]:
    for media_type, content in old.part.get("content", {}).items():
        now = new.part.get("content", {}).get(media_type)
        if now is None:
            yield f"{where} is not {media_type} any more"
        else:
            yield from _schemas(where, old.of(content.get("schema", {})), new.of(now.get("schema", {})))


def _schemas(where: str, old: Side, new: Side, depth: int = 0) -> Iterator[str]:
    before, after = old.variants(), new.variants()
    lost = before.keys() - after.keys() if old.sent else after.keys() - before.keys()
    if lost:
        yield f"{where}: {', '.join(sorted(lost))} {'not taken any more' if old.sent else 'may come now'}"
    if depth < MAX_DEPTH:
        for name in before.keys() & after.keys():
            yield from _values(where, before[name], after[name])
            yield from _members(where, before[name], after[name], depth)


def _values(where: str, old: Side, new: Side) -> Iterator[str]:
    before, after = _choices(old.part), _choices(new.part)
    narrow, wide = (after, before) if old.sent else (before, after)
    if narrow is not None and (wide is None or wide - narrow):
        yield f"{where}: other values than before"
    if old.sent:
        for name in (*UPPER_BOUNDS, *LOWER_BOUNDS):
            if _tighter(name, old.part.get(name), new.part.get(name)):
                yield f"{where}: {name} {new.part[name]}, was {old.part.get(name)}"
        if new.part.get("pattern") not in (None, old.part.get("pattern")):
            yield f"{where}: other pattern"


def _members(where: str, old: Side, new: Side, depth: int) -> Iterator[str]:
    before, after = old.part.get("properties", {}), new.part.get("properties", {})
    required_before, required_after = set(old.part.get("required", ())), set(new.part.get("required", ()))
    for name in before.keys() - after.keys():
        yield f"{where}.{name}: removed"
    must = required_after - required_before if old.sent else (required_before - required_after) & after.keys()
    for name in sorted(must):
        yield f"{where}.{name}: {'required now' if old.sent else 'may be missing now'}"
    for name in before.keys() & after.keys():
        yield from _schemas(f"{where}.{name}", old.of(before[name]), new.of(after[name]), depth + 1)
    if "items" in old.part and "items" in new.part:
        yield from _schemas(f"{where}[]", old.of(old.part["items"]), new.of(new.part["items"]), depth + 1)


def _choices(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None


def _tighter(name: str, before: float | None, after: float | None) -> bool:
    if after is None or before == after:
        return False
    if before is None:
        return True
    return after < before if name in UPPER_BOUNDS else after > before
