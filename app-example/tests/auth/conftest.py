"""Fixtures: a service with accounts, direct and through PgBouncer, and a worker's share of password resets."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.auth.support import Messenger, messenger
from tests.support import serve, valid_settings


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Give the settings of a service."""
    return valid_settings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
async def messages(settings: Settings, database_url: str) -> AsyncGenerator[Messenger]:
    """Give somebody who hands over the messages that the service wants sent."""
    async with messenger(settings, database_url) as found:
        yield found


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """Give the application."""
    return create_app(settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client that speaks HTTPS: it keeps the cookie of the refresh token."""
    async with serve(app) as client:
        client.base_url = "https://orders.test"
        yield client
