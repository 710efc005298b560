"""Where HTTP enters and leaves: what holds for every route, whatever it does.

Owns the order of the middleware. Each is plain ASGI: one that wraps requests in tasks of its own costs a multiple and
breaks context variables. Deliberately leaves the certificate, HSTS and the redirect to https to the load balancer,
which alone knows whether the public side is encrypted.
"""

from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware

from app.edge.hosts import TrustedHosts
from app.edge.json_bodies import StrictJson
from app.edge.responses import FinishedResponses
from app.errors import UnhandledErrors
from app.request_context import RequestContext
from app.settings import Settings

CORS_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
CORS_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Request-ID")
CORS_RESPONSE_HEADERS = ("ETag", "Location", "Retry-After", "X-Request-ID")
"""What a front end may read."""
CORS_MAX_AGE_SECONDS = 600
"""How long a browser remembers a preflight; all of them keep 600 s."""


def middleware(settings: Settings) -> list[Middleware]:
    """Return the middleware, the outermost first."""
    return [
        # Every answer and every log line has the id.
        Middleware(RequestContext),
        # Every answer has the headers, those of the middleware below as well.
        Middleware(FinishedResponses),
        Middleware(TrustedHosts, allowed_hosts=settings.allowed_hosts or ("*",)),
        # Outside of the errors: a browser shows a front end no answer without its headers.
        *_cors(settings),
        Middleware(UnhandledErrors),
        # A route that takes more says so: `include_router(…, max_body_size=…)`.
        Middleware(RequestBodyLimitMiddleware, max_body_size=settings.request_max_bytes),
        Middleware(StrictJson),
    ]


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            # Without credentials: tokens travel in a header, so that no other page can make a browser send them.
            allow_headers=CORS_REQUEST_HEADERS,
            allow_methods=CORS_METHODS,
            allow_origins=settings.cors_origins,
            expose_headers=CORS_RESPONSE_HEADERS,
            max_age=CORS_MAX_AGE_SECONDS,
        )
    ]
