"""Assembly.

Owns how the parts become one application. Deliberately does nothing at import: a server, a test and a tool each
call `create_app` and get an application of their own.
"""

import logging

from fastapi import FastAPI
from fastapi_platform_runtime.health import routes as probes

from app import edge, errors, health, logs, resources, telemetry
from app.assistant import endpoints as assistant
from app.attachments import endpoints as attachments
from app.attachments.upload import FORM_OVERHEAD_BYTES
from app.auth import endpoints as accounts
from app.edge import docs
from app.exports import endpoints as exports
from app.orders import endpoints as orders
from app.products import endpoints as products
from app.settings import Settings, SettingsError

STARTUP_FAILURE = 3
"""Exit status of a process that could not start; the same as the server's."""

_logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application, from the environment when no settings are given."""
    settings = settings or settings_from_environment()
    logs.configure(logs.Origin.of(settings), settings.log_level)
    traces = telemetry.tracing(settings)
    app = FastAPI(
        title=settings.service_name,
        lifespan=resources.lifespan(settings, traces),
        middleware=edge.middleware(settings),
        openapi_url=None if settings.is_production else docs.OPENAPI_PATH,
        # Our own page instead, which needs no inline script.
        docs_url=None,
        redoc_url=None,
        # One path for each resource: a redirect would name the scheme and host that the client claims.
        redirect_slashes=False,
        telemetry=telemetry.of_requests(traces),
    )
    _add_routes(app, settings)
    errors.install(app)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    # Routes are tried in this order: what is called most comes first.
    app.include_router(products.router)
    app.include_router(orders.router)
    app.include_router(accounts.router)
    app.include_router(assistant.router)
    app.include_router(attachments.router, max_body_size=settings.upload_max_bytes + FORM_OVERHEAD_BYTES)
    app.include_router(exports.router)
    app.router.routes.extend(probes(health.judge))
    if not settings.is_production:
        app.router.routes.extend(docs.routes(settings.service_name))


def settings_from_environment() -> Settings:
    """Read the environment; ends the process with one line when it describes none that can start."""
    try:
        return Settings.from_environment()
    except SettingsError as exc:
        logs.configure(logs.Origin("orders"), "INFO")
        _logger.critical("cannot start: %s", exc)
        raise SystemExit(STARTUP_FAILURE) from None
