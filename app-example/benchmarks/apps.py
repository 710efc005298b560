"""What `benchmarks.throughput` compares: a bare route, and the application without its database."""

import os
from datetime import UTC, datetime
from uuid import UUID

from fastapi import FastAPI
from fastapi_platform_runtime.engine import EngineSettings

from app.main import create_app
from app.products.schemas import ProductRead
from app.products.service import ProductService
from app.settings import Settings

PRODUCT = ProductRead(
    id=UUID(int=1),
    sku="MUG-1",
    name="Mug",
    price_cents=900,
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
    updated_at=datetime(2026, 11, 21, tzinfo=UTC),
)


async def find(self: ProductService, sku: str) -> ProductRead | None:
    """Stand for the search: the answer is there at once."""
    return PRODUCT


def bare() -> FastAPI:
    """Build the least that answers with the product."""
    app = FastAPI()

    @app.get("/v1/products/{sku}")
    async def read_product(sku: str) -> ProductRead:  # pyright: ignore[reportUnusedFunction]
        return PRODUCT

    return app


def application() -> FastAPI:
    """Build the application in its own settings; `TRACED` in the environment switches traces on."""
    # Not `dependency_overrides`: with one, FastAPI looks at the signatures again in every request.
    ProductService.find = find
    database = EngineSettings.from_environment({"DATABASE_URL": "postgresql://orders@127.0.0.1:1/orders"})
    # A collector that is away: what spans cost, not what a network does.
    traced = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:1"} if "TRACED" in os.environ else {}
    return create_app(
        Settings.model_validate({"database": database, "environment": "local", "metrics_port": 0, **traced})
    )
