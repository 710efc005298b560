"""Who calls, as a dependency of routes.

Owns the check of the bearer token and of the role. Every route that is not on the list of public ones depends on
it (`tests/auth/test_matrix.py` looks). Deliberately knows no account: a token says all that a route needs.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.base import SecurityBase

from app.auth.tokens import AccessTokens, Identity, InvalidTokenError, Role
from app.request_context import bind_identity

_bearer: SecurityBase = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="access token")


async def current_identity(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Return who calls; answers 401 where no valid token says it."""
    tokens: AccessTokens = request.state.access_tokens
    try:
        if credentials is None:
            raise InvalidTokenError("no token")
        identity = tokens.read(credentials.credentials)
    except InvalidTokenError:
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED,
            detail="A valid access token is needed.",
            headers={"WWW-Authenticate": "Bearer"},
        ) from None
    bind_identity(identity.user_id, identity.tenant_id)
    return identity


CurrentIdentity = Annotated[Identity, Depends(current_identity)]


async def current_admin(identity: CurrentIdentity) -> Identity:
    """Return who calls; answers 403 where they are no administrator of their tenant."""
    if identity.role is not Role.ADMIN:
        raise HTTPException(HTTPStatus.FORBIDDEN, detail="This needs the role admin.")
    return identity


CurrentAdmin = Annotated[Identity, Depends(current_admin)]
