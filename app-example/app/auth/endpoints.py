"""HTTP interface of accounts, version 1.

Owns paths, statuses, headers and the cookie of the refresh token. Deliberately decides nothing: each endpoint makes
one call to a service.

The refresh token travels in a cookie alone, which no script can read and no answer repeats; clients that are not
browsers keep cookies as well. The front end shares a site with the API (`shop.example.com`, `api.example.com`), or
SameSite=Strict keeps the cookie from it. That is also why there is no other token against forged requests: a foreign
site's request comes without the cookie, and nothing but refreshing and signing out goes by it, of which the forger
cannot read the answer. A client refreshes one request at a time (`navigator.locks`): a token that was used before
ends the sign-in. A refusal leaves the cookie alone, which may be the newer one of another tab by then.
"""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Response

from app.auth.identity import CurrentIdentity
from app.auth.jobs import RESET
from app.auth.limits import (
    CONFIRM_BY_ADDRESS,
    REFRESH_BY_ADDRESS,
    REGISTER_BY_ADDRESS,
    RESET_BY_ADDRESS,
    SIGN_IN_BY_ADDRESS,
)
from app.auth.opaque_tokens import MAX_LENGTH
from app.auth.resets import PasswordResets, ResetRefusedError
from app.auth.schemas import (
    Accepted,
    AccountRead,
    Credentials,
    Registration,
    ResetConfirmation,
    ResetRequest,
    TokenRead,
)
from app.auth.service import Accounts, SignedIn, SignInRefusedError
from app.errors import PROBLEM_RESPONSES
from app.queue import LaterJobs
from app.rate_limits import LimitExceededError, limited, too_many_requests

COOKIE = "__Secure-refresh"
"""Browsers take a name with this prefix over HTTPS alone, and from this machine."""

router = APIRouter(prefix="/v1/auth", tags=["accounts"], responses=PROBLEM_RESPONSES)
RefreshCookie = Annotated[str, Cookie(alias=COOKIE, max_length=MAX_LENGTH)]


@router.post("/register", status_code=HTTPStatus.ACCEPTED, dependencies=[limited(REGISTER_BY_ADDRESS)])
async def register(body: Registration, accounts: Accounts) -> Accepted:
    """Open an account. The answer is the same for an address that has one."""
    with _refusals():
        await accounts.register(body)
    return Accepted(detail="If the address had no account, it has one now, and can sign in.")


@router.post("/token", dependencies=[limited(SIGN_IN_BY_ADDRESS)])
async def sign_in(body: Credentials, accounts: Accounts, response: Response) -> TokenRead:
    """Sign in: an access token in the answer, a refresh token in a cookie."""
    with _refusals("The address or the password is wrong."):
        return _answer(response, await accounts.sign_in(body))


@router.post("/refresh", dependencies=[limited(REFRESH_BY_ADDRESS)])
async def refresh(accounts: Accounts, response: Response, token: RefreshCookie = "") -> TokenRead:
    """Exchange the refresh token of the cookie, which works once, for a new access token."""
    with _refusals("A valid refresh token is needed. Sign in again."):
        return _answer(response, await accounts.refresh(token))


@router.post("/sign-out", status_code=HTTPStatus.NO_CONTENT, dependencies=[limited(REFRESH_BY_ADDRESS)])
async def sign_out(accounts: Accounts, response: Response, token: RefreshCookie = "") -> None:
    """End the sign-in of the cookie. The last access token holds until it expires: forget it."""
    await accounts.sign_out(token)
    response.delete_cookie(COOKIE, path=router.prefix, secure=True, httponly=True, samesite="strict")


@router.post("/password-reset", status_code=HTTPStatus.ACCEPTED, dependencies=[limited(RESET_BY_ADDRESS)])
async def request_reset(body: ResetRequest, resets: PasswordResets, jobs: LaterJobs) -> Accepted:
    """Ask for a message with which a new password can be chosen. The answer is the same for any address."""
    with _refusals():
        reset = await resets.request(body)
    jobs.put(RESET, reset)
    return Accepted(detail="If the address has an account, a message is on its way.")


@router.post(
    "/password-reset/confirmation", status_code=HTTPStatus.NO_CONTENT, dependencies=[limited(CONFIRM_BY_ADDRESS)]
)
async def confirm_reset(body: ResetConfirmation, resets: PasswordResets) -> None:
    """Choose a new password with the token of the message. Every sign-in of the account ends."""
    with _refusals("This reset is not valid any more. Ask for a new one."):
        await resets.confirm(body)


@router.get("/me")
async def read_me(identity: CurrentIdentity, accounts: Accounts, response: Response) -> AccountRead:
    """Return the caller's own account."""
    response.headers["Cache-Control"] = "no-store"
    with _refusals("A valid access token is needed."):
        return await accounts.read(identity)


@contextmanager
def _refusals(detail: str | None = None) -> Generator[None]:
    try:
        yield
    except SignInRefusedError:
        headers = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(HTTPStatus.UNAUTHORIZED, detail=detail, headers=headers) from None
    except ResetRefusedError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail=detail) from None
    except LimitExceededError as exc:
        raise too_many_requests(exc) from None


def _answer(response: Response, signed_in: SignedIn) -> TokenRead:
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        signed_in.refresh_token,
        max_age=signed_in.refresh_token_seconds,
        path=router.prefix,
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return TokenRead(access_token=signed_in.access_token, expires_in=signed_in.access_token_seconds)
