"""Where HTTP enters and leaves: what holds for every route, whatever it does.

Owns the order of the middleware. Each is plain ASGI: one that wraps requests in tasks of its own costs a multiple and
breaks context variables. Deliberately leaves the certificate, HSTS and the redirect to https to the load balancer,
which alone knows whether the public side is encrypted.
"""

from starlette.middleware import Middleware

from app.edge.gate import Gate
from app.edge.responses import FinishedResponses
from app.error_reports import ReportedErrors
from app.request_context import RequestContext
from app.settings import Settings


def middleware(settings: Settings) -> list[Middleware]:
    """Return the middleware, the outermost first."""
    return [
        # Every answer and every log line has the id.
        Middleware(RequestContext),
        # Every answer has the headers, a refusal as well.
        Middleware(FinishedResponses),
        Middleware(Gate, settings=settings),
        # Inside the gate, which answers 500: what passes here, nobody handled.
        Middleware(ReportedErrors),
    ]
