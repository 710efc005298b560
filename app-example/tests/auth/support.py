"""What the tests of accounts share."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
from taskiq import InMemoryBroker

from app.auth.endpoints import COOKIE
from app.auth.reset_delivery import ResetDelivery
from app.auth.reset_messages import ResetMessage
from app.auth.tokens import AccessTokens, Identity
from app.database import Database, open_database
from app.jobs import Outcome
from app.pace import Pace
from app.queue import JobQueue
from app.rate_limits import RateLimits, Rule
from app.settings import Settings
from tests.support import execute

PASSWORD = "correct horse battery staple"


class Messenger:
    """A worker's share of password resets, done when a test wants it; takes over the messages, and shows them."""

    def __init__(self, database: Database, database_url: str) -> None:
        """Begin with no message."""
        self.delivery = ResetDelivery(database, self, JobQueue(InMemoryBroker()), Pace(announce_again_seconds=0.001))
        self.error: Exception | None = None
        self.sent: list[ResetMessage] = []
        self._database_url = database_url

    async def send(self, message: ResetMessage) -> None:
        """Keep a message, and then fail where it is told to."""
        self.sent.append(message)
        if self.error is not None:
            raise self.error

    async def work(self) -> list[Outcome]:
        """Do everything that waits, and return how it ended."""
        waiting = await execute(self._database_url, "SELECT id::text FROM password_reset_requests")
        return [await self.delivery.run(UUID(each)) for each in waiting]


@asynccontextmanager
async def messenger(settings: Settings, database_url: str) -> AsyncGenerator[Messenger]:
    """Give somebody who hands messages over."""
    async with open_database(settings.database) as database:
        yield Messenger(database, database_url)


class NoLimits(RateLimits):
    """Counts nothing."""

    def __init__(self) -> None:
        """Count nowhere."""

    async def count(self, rule: Rule, caller: str) -> None:
        """Let it pass."""


def new_email() -> str:
    """Return an address that nobody has."""
    return f"{uuid4().hex}@example.com"


async def register(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    """Ask for an account."""
    return await client.post("/v1/auth/register", json={"email": email, "password": password})


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    """Try to sign in."""
    return await client.post("/v1/auth/token", json={"email": email, "password": password})


async def signed_up(client: httpx.AsyncClient) -> str:
    """Open an account, sign in, and return its address."""
    email = new_email()
    assert (await register(client, email)).status_code == 202
    assert (await sign_in(client, email)).status_code == 200
    return email


def refresh_token(client: httpx.AsyncClient) -> str:
    """Return the token in the client's cookie."""
    token = client.cookies.get(COOKIE)
    assert token
    return token


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Present a refresh token as a client that holds nothing else."""
    client.cookies.clear()
    return await client.post("/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"})


def bearer(access_token: str) -> dict[str, str]:
    """Return the headers that carry an access token."""
    return {"Authorization": f"Bearer {access_token}"}


def identity_of(settings: Settings, answer: httpx.Response) -> Identity:
    """Return who the access token of an answer is about."""
    tokens = AccessTokens(settings.token_keys, settings.service_name, timedelta(minutes=15))
    return tokens.read(answer.json()["access_token"])
