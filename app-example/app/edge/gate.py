"""Who and what is let in.

Owns the order of the checks before any route: the name under which the service is called, the origin of a browser's
page, the size and the form of a body. The checks are Starlette's; what is ours is that probes pass under any name, and
that a request which gives a check nothing to look at goes past it: four layers would cost as much as a small route.
Deliberately redirects nobody to a name that is known: a client with the wrong one is told.
"""

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.edge.json_bodies import StrictJson
from app.errors import UnhandledErrors
from app.request_context import is_probe
from app.settings import Settings

CORS_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
CORS_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Request-ID")
CORS_RESPONSE_HEADERS = ("ETag", "Location", "Retry-After", "X-Request-ID")
"""What a front end may read."""
CORS_MAX_AGE_SECONDS = 600
"""How long a browser remembers a preflight; all of them keep 600 s."""

_CHECKED_HEADERS = frozenset({b"content-length", b"origin", b"transfer-encoding"})
"""What a check looks at, beside the name."""
_LENGTH_IS_STATED = ("1.0", "1.1")
"""Versions of HTTP in which a request without a header about its length has no body."""


class Gate:
    """Plain ASGI middleware that refuses what is not meant for this service."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Wrap an ASGI application; without a list of hosts, as on a developer's machine, every name is taken."""
        self._unchecked = UnhandledErrors(app)
        # A route that takes more says so: `include_router(…, max_body_size=…)`.
        limited = RequestBodyLimitMiddleware(StrictJson(app), settings.request_max_bytes)
        # CORS is outside of the errors: a browser shows a front end no answer without its headers.
        self._checked = _hosts(_cors(UnhandledErrors(limited), settings), settings)
        self._hosts = frozenset(host.encode() for host in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await (self._unchecked if self._is_harmless(scope) else self._checked)(scope, receive, send)

    def _is_harmless(self, scope: Scope) -> bool:
        """Whether no check has anything to look at; a name with a port or of a pattern is left to Starlette."""
        if scope["type"] != "http" or scope.get("http_version") not in _LENGTH_IS_STATED:
            return False
        if is_probe(scope):
            return True
        named = False
        for name, value in scope["headers"]:
            if name in _CHECKED_HEADERS:
                return False
            if name == b"host":
                named = True
                if self._hosts and value not in self._hosts:
                    return False
        return named


def _hosts(app: ASGIApp, settings: Settings) -> ASGIApp:
    return TrustedHostMiddleware(app, settings.allowed_hosts or ("*",), www_redirect=False)


def _cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    if not settings.cors_origins:
        return app
    return CORSMiddleware(
        app,
        # For the cookie of the refresh token, which SameSite=Strict keeps from other sites.
        allow_credentials=True,
        allow_headers=CORS_REQUEST_HEADERS,
        allow_methods=CORS_METHODS,
        allow_origins=settings.cors_origins,
        expose_headers=CORS_RESPONSE_HEADERS,
        max_age=CORS_MAX_AGE_SECONDS,
    )
