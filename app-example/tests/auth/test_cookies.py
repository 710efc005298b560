"""The only cookies of a production: those of the refresh token."""

from http.cookies import SimpleCookie

import httpx
import pytest

from app.auth.endpoints import COOKIE
from app.main import create_app
from tests.auth.support import sign_in, signed_up
from tests.support import production_settings, serve

pytestmark = pytest.mark.services


@pytest.mark.control("secure-cookies")
async def test_every_cookie_of_a_production_is_for_https_this_site_and_no_script(
    direct_database_url: str, redis_url: str
) -> None:
    settings = production_settings(database_url=direct_database_url, redis_url=redis_url)
    answers: list[httpx.Response] = []

    async def keep(response: httpx.Response) -> None:
        answers.append(response)

    async with serve(create_app(settings)) as client:
        client.base_url = "https://orders.test"
        client.event_hooks["response"] = [keep]
        email = await signed_up(client)
        await client.post("/v1/auth/refresh")
        await client.post("/v1/auth/sign-out")
        await sign_in(client, email, "a wrong password")
        for path in ("/healthz/live", "/v1/products", "/v1/auth/me", "/v1/nothing"):
            await client.get(path)
    headers = [value for answer in answers for value in answer.headers.get_list("set-cookie")]
    assert len(headers) == 3, "sign-in, refresh and sign-out"
    for header in headers:
        ((name, cookie),) = SimpleCookie(header).items()
        assert (name, cookie["path"], cookie["domain"]) == (COOKIE, "/v1/auth", "")
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "strict")
    assert [SimpleCookie(header)[COOKIE]["max-age"] for header in headers][::2] == [str(14 * 86_400), "0"]


async def test_no_answer_repeats_the_refresh_token(client: httpx.AsyncClient) -> None:
    """A script that could read it would carry away what the cookie hides."""
    email = await signed_up(client)
    answer = await sign_in(client, email)
    token = client.cookies[COOKIE]
    assert token not in answer.text
    assert token.partition(".")[2] not in answer.text
