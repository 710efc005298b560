"""Answers that shared caches may keep.

Owns the directive and the validator of such an answer, and the short one to who has it already. Deliberately only for
what is the same for everybody: an answer to somebody in particular never comes here.
Source: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
"""

import hashlib
from http import HTTPStatus

from fastapi import Response
from pydantic import BaseModel

CACHE_CONTROL = "public, max-age=60, stale-while-revalidate=30"
"""A change is seen everywhere within a minute, and a half while a cache asks anew."""


def cacheable(content: BaseModel, if_none_match: str | None) -> Response:
    """Return an answer with its validator; 304 without content where the client names that validator.

    Args:
        content: What is answered.
        if_none_match: The request's header, or none.
    """
    body = content.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": CACHE_CONTROL, "ETag": etag}
    named = {each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")}
    if named & {etag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
