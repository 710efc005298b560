"""The service that a backfill must not disturb: reads, changes and adds rows, and does not know the new column."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_platform_runtime.engine import EngineSettings


def create_app() -> FastAPI:
    engine = create_async_engine(**EngineSettings.from_environment(os.environ).arguments())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await engine.dispose()

    async def run(statement: str, **values: Any) -> Any:
        async with engine.begin() as connection:
            return (await connection.execute(text(statement), values)).scalar_one()

    async def read(number: int) -> Any:
        return await run("SELECT quantity FROM orders WHERE id = :id", id=number)

    async def change(number: int) -> Any:
        return await run("UPDATE orders SET quantity = quantity + 1 WHERE id = :id RETURNING quantity", id=number)

    async def add() -> Any:
        return await run("INSERT INTO orders (sku) VALUES ('new') RETURNING id")

    app = FastAPI(lifespan=lifespan)
    app.get("/orders/{number}")(read)
    app.put("/orders/{number}")(change)
    app.post("/orders")(add)
    return app
