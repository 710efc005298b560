"""The names under which the service is called.

Owns one exception to Starlette's check: probes. They come from the node and the load balancer by address, and a
refusal would take every pod out of service. Deliberately redirects nobody to a name that is known: a client with the
wrong name is told.
"""

from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.request_context import PROBE_PREFIX


class TrustedHosts:
    """Plain ASGI middleware that answers 400 to a request for any other name."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        """Wrap an ASGI application; `*` allows all names."""
        self._unchecked = app
        self._checked = TrustedHostMiddleware(app, allowed_hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        probe = scope["type"] == "http" and scope["path"].startswith(PROBE_PREFIX)
        await (self._unchecked if probe else self._checked)(scope, receive, send)
