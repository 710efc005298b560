"""Answers that others may keep.

Owns how a route says that its answer is the same for everybody and for how long, and the validator with which a
client asks whether it has changed. What says nothing is never stored (`app.edge.responses`). Deliberately no cache:
browsers and the load balancer have one.

    router = APIRouter(prefix="/v1/products", route_class=cacheable(max_age_seconds=60))

Source: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
"""

import hashlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

_CARRIED = ("cache-control", "etag", "location", "vary")
"""What a 304 repeats of the answer that it stands for."""


class CacheableRoute(APIRoute):
    """A route whose answer is public: it must not depend on who calls (`tests/test_routes.py` looks)."""

    max_age_seconds: int

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler, so that the validator is that of the bytes which are sent."""
        handle = super().get_route_handler()

        async def respond(request: Request) -> Response:
            response = await handle(request)
            if response.status_code != HTTPStatus.OK:
                return response
            response.headers["Cache-Control"] = f"public, max-age={self.max_age_seconds}"
            response.headers["ETag"] = tag = entity_tag(bytes(response.body))
            return _not_modified(response) if matches(request.headers.get("If-None-Match"), tag) else response

        return respond


def cacheable(*, max_age_seconds: int) -> type[CacheableRoute]:
    """Return the `route_class` of a router whose answers may be kept for so long, by anybody."""
    return type("CacheableRoute", (CacheableRoute,), {"max_age_seconds": max_age_seconds})


def entity_tag(body: bytes) -> str:
    """Return the validator of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether a client already has what the tag stands for."""
    known = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return tag in known or known == ["*"]


def _not_modified(response: Response) -> Response:
    headers = {name: value for name, value in response.headers.items() if name in _CARRIED}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
