"""Rows of exports on a real Postgres, without a service and without a worker."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.database import Database, open_database
from app.exports.leases import Leases
from app.exports.outbox import Outbox
from app.pace import Pace
from tests.support import execute, valid_settings


@dataclass(frozen=True)
class Desk:
    """Rows of exports."""

    database: Database
    database_url: str
    leases: Leases
    outbox: Outbox
    pace: Pace

    async def export(self) -> UUID:
        """Store an export that nobody has begun, and of which somebody was told long ago."""
        export_id = uuid4()
        values = f"'{export_id}', '{uuid4()}', '{uuid4()}', 'queued', now() - interval '1 hour'"
        columns = "id, tenant_id, created_by, status, announced_at"
        await execute(self.database_url, f"INSERT INTO exports ({columns}) VALUES ({values})")  # noqa: S608
        return export_id

    async def done(self) -> UUID:
        """Store an export that is done, and of which the webhook is to be told."""
        export_id = await self.export()
        lease = await self.leases.claim(export_id)
        assert lease
        await self.leases.finish(lease, rows=1, size_bytes=1, notify=True)
        return export_id

    async def column(self, name: str) -> list[object]:
        """Return a column of all exports."""
        return await execute(self.database_url, f"SELECT {name} FROM exports")  # noqa: S608


@asynccontextmanager
async def open_desk(database_url: str) -> AsyncGenerator[Desk]:
    """Give the rows of a database."""
    async with open_database(valid_settings(database_url=database_url).database) as database:
        pace = Pace(max_attempts=2)
        yield Desk(database, database_url, Leases(database, pace), Outbox(database, pace), pace)
