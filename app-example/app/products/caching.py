"""Answers that shared caches may keep.

Owns the directive and the validator of such an answer, and the short one to who has it already. Deliberately only for
what is the same for everybody: an answer to somebody in particular never comes here.
Source: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
"""

import hashlib
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from pydantic import BaseModel

CACHE_CONTROL = "public, max-age=60, stale-while-revalidate=30"
"""A change is seen everywhere within a minute, and a half while a cache asks anew."""

VALIDATORS_MAX_LENGTH = 1024
"""Characters of the header: about thirty validators, of which a client has one."""
IF_NONE_MATCH: dict[str, Any] = {
    "parameters": [
        {
            "name": "if-none-match",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": VALIDATORS_MAX_LENGTH},
            "description": "Validators of what the client has.",
        }
    ]
}
"""For `openapi_extra=` of a route: as an argument, the framework would spend more on it than on the route's path."""


def cacheable(content: BaseModel, request: Request) -> Response:
    """Return an answer with its validator; 304 without content where the client names that validator.

    Args:
        content: What is answered.
        request: What its header names, the client has.

    Raises:
        HTTPException: The header is longer than the description allows.
    """
    body = content.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": CACHE_CONTROL, "ETag": etag}
    validators = request.headers.get("If-None-Match", "")
    if len(validators) > VALIDATORS_MAX_LENGTH:
        detail = f"If-None-Match may have {VALIDATORS_MAX_LENGTH} characters."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail)
    named = {each.strip().removeprefix("W/") for each in validators.split(",")}
    if named & {etag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
