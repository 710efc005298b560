"""Assembly.

Owns how the parts become one application and what lives as long as the process. Deliberately does nothing at
import: a server, a test and a tool each call `create_app` and get an application of their own.
"""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from app import errors, health, logs
from app.database import Database, open_database
from app.orders import endpoints as orders
from app.request_context import RequestContext
from app.settings import Environment, Settings, SettingsError

STARTUP_FAILURE = 3
"""Exit status of a process that could not start; the same as the server's."""

_logger = logging.getLogger(__name__)


class State(TypedDict):
    """What every request finds in `request.state`."""

    database: Database
    readiness: health.Readiness


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application, from the environment when no settings are given."""
    settings = settings or _settings_from_environment()
    logs.configure(settings.service_name, settings.log_level)
    app = FastAPI(
        title=settings.service_name,
        lifespan=_lifespan(settings),
        # Without the description there is no docs page either.
        openapi_url=None if settings.environment is Environment.PRODUCTION else "/openapi.json",
        redoc_url=None,
    )
    app.include_router(health.router)
    app.include_router(orders.router)
    errors.install(app)
    # The last one added is the outermost.
    app.add_middleware(errors.UnhandledErrors)
    app.add_middleware(RequestContext)
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[State]:
        database = open_database(settings)
        try:
            yield State(
                database=database,
                readiness=health.Readiness({"database": database.ping}, settings.readiness_timeout_seconds),
            )
        finally:
            await database.engine.dispose()

    return lifespan


def _settings_from_environment() -> Settings:
    try:
        return Settings.from_environment()
    except SettingsError as exc:
        logs.configure("orders", "INFO")
        _logger.critical("cannot start: %s", exc)
        raise SystemExit(STARTUP_FAILURE) from None
