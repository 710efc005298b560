"""Errors as clients see them.

Owns the one shape of every error answer, `application/problem+json`, and what an outage of the database or the storage
and an unforeseen exception turn into. Deliberately repeats nothing of the input and shows nothing of the internals: the
request id and the trace id lead to the log line that has them. Source: https://www.rfc-editor.org/rfc/rfc9457
"""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database_errors import DatabaseUnavailableError, is_outage, is_unstorable, sqlstate
from app.outbound import Reason, UpstreamUnavailableError
from app.request_context import request_id, trace_id
from app.storage import StorageError

PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""When to try again after an outage; a failover takes longer, a restart of the pooler less."""
MAX_ERRORS = 20
"""Most places that one answer names: a client can send thousands of unknown keys."""
MAX_PLACE_LENGTH = 100
"""Longest name of a place; part of it may be a key that the client made up."""

_logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """Body of every error answer."""

    # Without nested models: the schema is copied into the API description as it is.
    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    type: str = "about:blank"
    """Kind of problem; `about:blank` means that the status says it all."""
    title: str
    """The status in words."""
    status: int
    """HTTP status of the answer."""
    detail: str | None = None
    """What went wrong this time."""
    request_id: str | None = None
    """Id to quote when asking for help."""
    trace_id: str | None = None
    """Id of the trace that the request belongs to, 32 hexadecimal digits."""
    errors: dict[str, list[str]] | None = None
    """What is wrong with each part of the request, by its place: `body.quantity`, `query.limit`."""


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Any error.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""For `responses=` of a router: the API description then states the real shape of errors."""


class UnhandledErrors:
    """Plain ASGI middleware that turns an exception nobody handled into a log line and a bare 500.

    Starlette's own handler for this runs outside all middleware, where the request id is already gone.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            Exception: What the application raised after its answer had begun; the server then cuts the
                connection, the only way left to tell the client.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def watch(message: Message) -> None:
            nonlocal answered
            answered = answered or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            _logger.exception("unhandled error")
            if answered:
                raise
            await problem_response(HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Give the errors that the framework knows our shape."""
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(UpstreamUnavailableError)(_upstream_error)
    app.exception_handler(StorageError)(_storage_error)
    for kind in (DatabaseUnavailableError, DBAPIError, PoolTimeoutError):
        app.exception_handler(kind)(_database_error)
    # The last resort: a middleware that stands outside `UnhandledErrors`.
    app.exception_handler(Exception)(_broken_middleware)


def problem(status: int, *, detail: str | None = None, errors: dict[str, list[str]] | None = None) -> Problem:
    """Describe an error of the request being served."""
    title = HTTPStatus(status).phrase
    return Problem(
        title=title,
        status=status,
        detail=None if detail == title else detail,
        request_id=request_id.get(),
        trace_id=trace_id.get(),
        errors=errors,
    )


def problem_response(
    status: int,
    *,
    detail: str | None = None,
    errors: dict[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error answer."""
    shown = problem(status, detail=detail, errors=errors)
    return JSONResponse(shown.model_dump(exclude_none=True), status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def upstream_problem(exc: UpstreamUnavailableError) -> Problem:
    """Return what a client may know of another service that failed, neither which nor where; and log the rest."""
    fields = {"service": exc.service, "reason": exc.reason, "error": exc.error}
    _logger.warning("another service is unavailable", extra={"fields": fields})
    return problem(_UPSTREAM_STATUS[exc.reason], detail="A service that this one needs gave no usable answer.")


_UPSTREAM_STATUS = {
    Reason.BROKEN: HTTPStatus.BAD_GATEWAY,
    Reason.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Reason.UNREACHABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


async def _http_error(request: Request, exc: HTTPException) -> JSONResponse:
    headers = exc.headers
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names the methods of one route, of several that share the path.
        headers = {**(headers or {}), "Allow": ", ".join(_methods(request))}
    return problem_response(exc.status_code, detail=exc.detail, headers=headers)


def _methods(request: Request) -> list[str]:
    matching = (
        each for each in iter_route_contexts(request.app.routes) if each.path_regex.match(request.scope["path"])
    )
    return sorted({method for each in matching for method in each.methods or ()})


async def _validation_error(_request: Request, exc: RequestValidationError) -> JSONResponse:
    errors: defaultdict[str, list[str]] = defaultdict(list)
    for error in exc.errors()[:MAX_ERRORS]:
        errors[_place(error["loc"])].append(error["msg"])
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail="The request is not valid.", errors=dict(errors))


async def _upstream_error(_request: Request, exc: UpstreamUnavailableError) -> JSONResponse:
    shown = upstream_problem(exc)
    wait = exc.retry_after_seconds
    headers = None if wait is None else {"Retry-After": str(math.ceil(wait))}
    return problem_response(shown.status, detail=shown.detail, headers=headers)


async def _storage_error(_request: Request, exc: StorageError) -> JSONResponse:
    _logger.warning("the storage does not serve: %s", exc)
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="The file storage does not answer.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


async def _database_error(_request: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, DBAPIError) and is_unstorable(exc):
        return problem_response(
            HTTPStatus.UNPROCESSABLE_ENTITY, detail="The request has a character that cannot be stored."
        )
    if not is_outage(exc):
        raise exc
    fields = {"error": type(exc).__name__, "sqlstate": sqlstate(exc) or None}
    is_pool = isinstance(exc, PoolTimeoutError)
    _logger.error(
        "no connection of the pool became free in time" if is_pool else "the database does not serve",
        extra={"fields": fields},
    )
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="The service cannot reach its data now.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


async def _broken_middleware(_request: Request, _exc: Exception) -> JSONResponse:
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR)


def _place(parts: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, parts))
    return name if len(name) <= MAX_PLACE_LENGTH else f"{name[:MAX_PLACE_LENGTH]}…"
