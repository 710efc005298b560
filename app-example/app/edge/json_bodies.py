"""JSON that means one thing.

Owns what a JSON body must be before any route reads it: Python's parser takes the last of two equal keys and numbers
that JSON does not have, and gives up with an error of its own on deep nesting. A proxy or a log in front of the
service that reads the first key would judge another request than the one that is served. Deliberately knows no model:
what the keys must be is the route's business. Source: https://www.rfc-editor.org/rfc/rfc7493
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NoReturn, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem_response

MAX_DEPTH = 32
"""Deepest nesting; the deepest model has 3."""


class StrictJson:
    """Plain ASGI middleware that answers 422 to a JSON body which two readers could read differently."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application; what limits the size of a body stands outside."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; other bodies pass unread."""
        if scope["type"] != "http" or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        messages = await _whole_body(receive)
        body = b"".join(message.get("body", b"") for message in messages)
        problem = problem_of(body) if body and messages[-1]["type"] == "http.request" else None
        if problem is not None:
            errors = {"body": [problem]}
            detail = "The request is not valid."
            await problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail, errors=errors)(scope, receive, send)
            return
        messages.reverse()

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)


def problem_of(body: bytes) -> str | None:
    """Return what is wrong with a JSON body, None where nothing is."""
    try:
        # From bytes the parser would take UTF-16 and UTF-32 too, and a mark that other readers refuse.
        value = json.loads(body.decode(), object_pairs_hook=_distinct, parse_constant=_refuse)
    except RecursionError:
        return f"want at most {MAX_DEPTH} levels of nesting"
    except _AmbiguousError as exc:
        return str(exc)
    except ValueError:
        # The parser's own words quote what it could not read.
        return "want JSON in UTF-8"
    return f"want at most {MAX_DEPTH} levels of nesting" if _depth_exceeds(value, MAX_DEPTH) else None


class _AmbiguousError(ValueError):
    """The text is read differently by different parsers."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _AmbiguousError("want each key of an object once")
    return value


def _refuse(_constant: str) -> NoReturn:
    raise _AmbiguousError("want numbers that JSON has, not NaN or Infinity")


def _depth_exceeds(value: Any, levels: int) -> bool:
    level = _containers([value])
    for _ in range(levels):
        level = _containers(child for parent in level for child in parent)
    return bool(level)


def _containers(values: Iterable[Any]) -> list[Iterable[Any]]:
    """Return the content of each object and list among some values."""
    return [
        cast(dict[str, Any], value).values() if isinstance(value, dict) else cast(list[Any], value)
        for value in values
        if isinstance(value, dict | list)
    ]


def _is_json(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return b"json" in value.lower()
    return False


async def _whole_body(receive: Receive) -> list[Message]:
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages
