"""Fixtures: a service with accounts, direct and through PgBouncer, and the messages it hands over."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from app.auth.reset_messages import get_reset_messages
from app.main import create_app
from app.settings import Settings
from tests.auth.support import RecordedMessages
from tests.support import serve, valid_settings


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Give the settings of a service."""
    return valid_settings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
def messages() -> RecordedMessages:
    """Give the messages that the service hands over."""
    return RecordedMessages()


@pytest.fixture
def app(settings: Settings, messages: RecordedMessages) -> FastAPI:
    """Give the application."""
    app = create_app(settings)
    app.dependency_overrides[get_reset_messages] = lambda: messages
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client that speaks HTTPS: it keeps the cookie of the refresh token."""
    async with serve(app) as client:
        client.base_url = "https://orders.test"
        yield client
