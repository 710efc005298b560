"""Statements of the exports resource, for the sweep: what nobody looks at.

Owns finding the rows whose message was lost, whose workers all died, whose notice is due and whose time is over. Each
statement takes a bounded number of rows and skips those that another worker's sweep has in its hand.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Select, cast, delete, func, or_, select, tuple_, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

from app.database import Database
from app.exports.leases import from_now, waiting
from app.exports.models import Export, Failure, Status
from app.exports.repository import OPEN
from app.pace import Pace

BATCH = 100
"""Rows of one statement."""
KEEP = timedelta(days=7)
"""How long a finished export can be fetched."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits."""

    queued: int
    running: int
    oldest_seconds: float
    """How long the oldest has waited for a worker; 0 when none waits."""


class Outbox:
    """Rows of exports as the sweep sees them."""

    def __init__(self, database: Database, pace: Pace) -> None:
        """Take the pool and the times."""
        self._database = database
        self._pace = pace

    async def unannounced(self) -> list[UUID]:
        """Return what waits though nobody was told of it lately, and note that they are told now."""
        return await self._announced(Export.status.in_(OPEN), Export.attempts < self._pace.max_attempts, waiting())

    async def give_up(self) -> list[UUID]:
        """Fail what no worker survived, and return it."""
        dead = (Export.status == Status.RUNNING, Export.leased_until < func.now())
        chosen = _some(*dead, Export.attempts >= self._pace.max_attempts)
        return await self._ids(
            update(Export)
            .where(Export.id.in_(chosen))
            .values(status=Status.FAILED, failure=Failure.GAVE_UP, finished_at=func.now(), leased_until=None)
            .returning(Export.id)
        )

    async def forget(self) -> list[UUID]:
        """Delete what was kept long enough; its object goes with the next sweep of the storage."""
        chosen = _some(Export.finished_at < func.now() - KEEP)
        return await self._ids(delete(Export).where(Export.id.in_(chosen)).returning(Export.id))

    async def to_notify(self) -> list[UUID]:
        """Return the exports of which the webhook is to be told now, and note that workers are told of them."""
        return await self._announced(Export.notify_after <= func.now())

    async def results(self, objects: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Return which of some pairs of export and lease are the result of an export, or its work in progress."""
        statement = select(Export.id, Export.lease_id).where(tuple_(Export.id, Export.lease_id).in_(objects))
        async with self._database.sessions.begin() as session:
            return {(export_id, lease_id) for export_id, lease_id in await session.execute(statement) if lease_id}

    async def backlog(self) -> Backlog:
        """Return what waits, for the metrics."""
        oldest = func.max(func.extract("epoch", func.now() - Export.available_at)).filter(waiting())
        statement = select(
            func.count().filter(Export.status == Status.QUEUED),
            func.count().filter(Export.status == Status.RUNNING),
            cast(func.coalesce(oldest, 0), Float),
        ).where(Export.status.in_(OPEN))
        async with self._database.sessions.begin() as session:
            return Backlog(*(await session.execute(statement)).one())

    async def _announced(self, *due: ColumnElement[bool]) -> list[UUID]:
        stale = or_(Export.announced_at.is_(None), Export.announced_at < from_now(-self._pace.announce_again_seconds))
        chosen = _some(*due, stale)
        return await self._ids(
            update(Export).where(Export.id.in_(chosen)).values(announced_at=func.now()).returning(Export.id)
        )

    async def _ids(self, statement: ReturningUpdate[UUID] | ReturningDelete[UUID]) -> list[UUID]:
        async with self._database.sessions.begin() as session:
            return [row[0] for row in await session.execute(statement)]


def _some(*conditions: ColumnElement[bool]) -> Select[UUID]:
    statement = select(Export.id).where(*conditions).order_by(Export.created_at).limit(BATCH)
    return statement.with_for_update(skip_locked=True)
