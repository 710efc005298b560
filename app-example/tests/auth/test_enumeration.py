"""Nobody learns from an answer or its time whether an account exists, or that it is disabled."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

import httpx
import pytest
from fastapi import FastAPI

from app.rate_limits import get_rate_limits
from tests.auth.support import NoLimits, new_email, register, sign_in
from tests.observed import observe
from tests.support import execute

pytestmark = [pytest.mark.services, pytest.mark.control("no-account-enumeration")]

Call = Callable[[], Awaitable[httpx.Response]]
ROUNDS = 11


@pytest.fixture
async def known(app: FastAPI, client: httpx.AsyncClient, database_url: str) -> str:
    """Give the address of an account, beside one that is disabled: `disabled-` and the same."""
    app.dependency_overrides[get_rate_limits] = NoLimits
    email = new_email()
    for address in (email, f"disabled-{email}"):
        assert (await register(client, address)).status_code == 202
    await execute(database_url, "UPDATE users SET disabled_at = now() WHERE email LIKE 'disabled-%'")
    return email


def seen(response: httpx.Response) -> tuple[object, ...]:
    """Return what a client can compare, without what differs between any two answers."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    body = {name: value for name, value in response.json().items() if name not in ("request_id", "trace_id")}
    return response.status_code, headers, body


async def medians(*calls: Call) -> list[float]:
    """Return the median seconds of each call; they take turns, so that what slows the machine slows all."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, times in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            await call()
            times.append(time.perf_counter() - started)
    return [median(times) for times in seconds]


async def test_a_refused_sign_in_looks_the_same(client: httpx.AsyncClient, known: str) -> None:
    answers = [
        await sign_in(client, new_email()),
        await sign_in(client, known, "a wrong password"),
        await sign_in(client, f"disabled-{known}"),
        await sign_in(client, f"disabled-{known}", "a wrong password"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert all(seen(answer) == seen(answers[0]) for answer in answers)


async def test_a_refused_sign_in_takes_the_same_time(client: httpx.AsyncClient, known: str) -> None:
    """Without a hash to verify an answer takes a small part of the time: half is generous, and enough."""
    slowest_last = sorted(
        await medians(
            lambda: sign_in(client, new_email()),
            lambda: sign_in(client, known, "a wrong password"),
            lambda: sign_in(client, f"disabled-{known}"),
        )
    )
    assert slowest_last[0] > slowest_last[-1] / 2


@pytest.mark.parametrize("path", ["/v1/auth/register", "/v1/auth/password-reset"])
async def test_registering_and_resetting_look_the_same(client: httpx.AsyncClient, known: str, path: str) -> None:
    password = {"password": "quite another password"} if path.endswith("register") else {}
    addresses = (new_email(), known, f"disabled-{known}")
    answers = [await client.post(path, json={"email": email, **password}) for email in addresses]
    assert {answer.status_code for answer in answers} == {202}
    assert all(seen(answer) == seen(answers[0]) for answer in answers)


async def test_registering_takes_the_same_time(client: httpx.AsyncClient, known: str) -> None:
    slowest_last = sorted(await medians(lambda: register(client, new_email()), lambda: register(client, known)))
    assert slowest_last[0] > slowest_last[-1] / 2


async def test_a_reset_asks_the_database_for_the_same_whether_there_is_an_account(
    client: httpx.AsyncClient, known: str
) -> None:
    """Who has an account is found out by a worker, after the answer."""
    asked: list[list[str]] = []
    for email in (new_email(), known, f"disabled-{known}"):
        with observe() as seen:
            assert (await client.post("/v1/auth/password-reset", json={"email": email})).status_code == 202
        asked.append(seen.statements)
    assert asked[0] == asked[1] == asked[2]
    assert len(asked[0]) == 2
