"""The last hand on every answer.

Owns the hardening headers, the rule that what does not say it may be stored may not, and the shape of the errors that
a library's middleware writes as plain text. Deliberately sets no Strict-Transport-Security: the load balancer does.
Sources: https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem_response

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

CONTENT_SECURITY_POLICY = b"default-src 'none'; frame-ancestors 'none'"
"""For answers that are no page: should a browser show one all the same, it loads and runs nothing."""
HARDENING: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
"""On every answer, whatever a route sets."""
NO_STORE = (b"cache-control", b"no-store")
"""For every error, and for what does not say that it may be stored."""

DOWNLOAD_HEADERS = {"Cache-Control": "private, no-store", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""Of a file that somebody made: for one user alone, and a browser that shows it all the same runs nothing of it."""

_OWNED = frozenset(name for name, _ in HARDENING)
_POLICY = (b"content-security-policy", CONTENT_SECURITY_POLICY)
_REPLACED = frozenset({b"content-length", b"content-type"})


class FinishedResponses:
    """Plain ASGI middleware that completes the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        plain: PlainError | None = None

        async def finish(message: Message) -> None:
            nonlocal plain
            if message["type"] == "http.response.start":
                headers = finished(message["headers"], message["status"])
                message = {**message, "headers": headers}
                if message["status"] >= HTTPStatus.BAD_REQUEST and _is_plain(headers):
                    plain = PlainError(message)
                    return
            elif plain is not None:
                await plain.add(message, send)
                return
            await send(message)

        await self._app(scope, receive, finish)


class PlainError:
    """An error as a library wrote it, until it is complete."""

    def __init__(self, start: Message) -> None:
        """Begin with the status and headers."""
        self._start = start
        self._text = b""

    async def add(self, message: Message, send: Send) -> None:
        """Take a piece of the body; the last one sends our own answer instead."""
        self._text += message.get("body", b"")
        if message.get("more_body", False):
            return
        detail = self._text.decode(errors="replace")
        answer = problem_response(self._start["status"], detail=detail)
        kept = [(name, value) for name, value in self._start["headers"] if name not in _REPLACED]
        of_body = [(name, value) for name, value in answer.raw_headers if name in _REPLACED]
        await send({**self._start, "headers": kept + of_body})
        await send({**message, "body": answer.body})


def finished(headers: Iterable[tuple[bytes, bytes]], status: int) -> RawHeaders:
    """Return headers with each of ours in them exactly once."""
    failed = status >= HTTPStatus.BAD_REQUEST
    kept = [each for each in headers if each[0] not in _OWNED and not (failed and each[0] == NO_STORE[0])]
    names = {name for name, _ in kept}
    kept += HARDENING
    if NO_STORE[0] not in names:
        kept.append(NO_STORE)
    elif not any(name == b"vary" and b"origin" in value.lower() for name, value in kept):
        # Kept for a page of one origin, it would lack what a page of another needs.
        kept.append((b"vary", b"Origin"))
    if _POLICY[0] not in names:
        kept.append(_POLICY)
    return kept


def _is_plain(headers: RawHeaders) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/plain") for name, value in headers)
