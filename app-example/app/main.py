"""Assembly.

Owns how the parts become one application. Deliberately does nothing at import: a server, a test and a tool each
call `create_app` and get an application of their own.
"""

import logging

from fastapi import FastAPI
from fastapi_platform_runtime.health import routes as probes

from app import errors, health, logs, resources, telemetry
from app.assistant import endpoints as assistant
from app.auth import endpoints as accounts
from app.error_reports import ReportedErrors
from app.orders import endpoints as orders
from app.products import endpoints as products
from app.request_context import RequestContext
from app.settings import Settings, SettingsError

STARTUP_FAILURE = 3
"""Exit status of a process that could not start; the same as the server's."""

_logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application, from the environment when no settings are given."""
    settings = settings or settings_from_environment()
    origin = logs.Origin(settings.service_name, settings.environment.value, settings.release)
    logs.configure(origin, settings.log_level)
    traces = telemetry.tracing(settings)
    app = FastAPI(
        title=settings.service_name,
        lifespan=resources.lifespan(settings, traces),
        # Without the description there is no docs page either.
        openapi_url=None if settings.is_production else "/openapi.json",
        redoc_url=None,
        telemetry=telemetry.of_requests(traces),
    )
    _add_routes(app)
    errors.install(app)
    _add_middleware(app)
    return app


def _add_routes(app: FastAPI) -> None:
    app.router.routes.extend(probes(health.judge))
    app.include_router(assistant.router)
    app.include_router(accounts.router)
    app.include_router(orders.router)
    app.include_router(products.router)


def _add_middleware(app: FastAPI) -> None:
    # The last one added is the outermost.
    app.add_middleware(ReportedErrors)
    app.add_middleware(errors.UnhandledErrors)
    app.add_middleware(RequestContext)


def settings_from_environment() -> Settings:
    """Read the environment; ends the process with one line when it describes none that can start."""
    try:
        return Settings.from_environment()
    except SettingsError as exc:
        logs.configure(logs.Origin("orders"), "INFO")
        _logger.critical("cannot start: %s", exc)
        raise SystemExit(STARTUP_FAILURE) from None
