"""Statements of the exports resource, for workers: who works on which row, and until when.

Owns exactly once: a worker claims a row with one UPDATE that makes it the holder of a lease, renews the lease while
it works, and finishes with one UPDATE that only the holder's lease fits. Two messages, two workers or a worker that
comes back from the dead change nothing: one UPDATE finds the row, the others find none. All times are Postgres's,
whatever clock a worker has. Each call is a transaction of its own, so that none is open during the work.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Cast, ColumnElement, Float, and_, cast, func, or_, select, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute

from app.database import Database
from app.exports.models import Export, Failure, Status
from app.orders.models import Order
from app.pace import Pace


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an export."""

    id: UUID
    export_id: UUID
    tenant_id: UUID
    created_at: datetime
    age_seconds: float
    """Since it was asked for."""
    attempts: int


class LeaseLostError(RuntimeError):
    """The row is not ours any more: somebody else works on it, or it is final."""


class OrderRow(NamedTuple):
    """What an export has of an order; the first two are the position in the list."""

    created_at: datetime
    id: UUID
    sku: str
    quantity: int


class Leases:
    """Rows of exports as workers see them."""

    def __init__(self, database: Database, pace: Pace) -> None:
        """Take the pool and the times."""
        self._database = database
        self._pace = pace

    async def claim(self, export_id: UUID) -> Lease | None:
        """Become the one who works on an export; None where there is nothing to do, or somebody does it."""
        statement = (
            update(Export)
            .where(Export.id == export_id, Export.attempts < self._pace.max_attempts, waiting())
            .values(
                status=Status.RUNNING,
                announced_at=func.now(),
                attempts=Export.attempts + 1,
                lease_id=uuid4(),
                leased_until=from_now(self._pace.lease_seconds),
            )
            .returning(
                Export.lease_id,
                Export.id,
                Export.tenant_id,
                Export.created_at,
                age_seconds(Export.created_at),
                Export.attempts,
            )
        )
        async with self._database.sessions.begin() as session:
            row = (await session.execute(statement)).one_or_none()
        return None if row is None else Lease(*row)

    async def renew(self, lease: Lease) -> None:
        """Say that the worker lives.

        Raises:
            LeaseLostError: It was taken for dead.
        """
        await self._change(lease, leased_until=from_now(self._pace.lease_seconds))

    async def finish(self, lease: Lease, *, rows: int, size_bytes: int, notify: bool) -> None:
        """Make the work of this lease the result.

        Raises:
            LeaseLostError: Another one's will be.
        """
        await self._change(
            lease,
            status=Status.DONE,
            announced_at=None,
            finished_at=func.now(),
            leased_until=None,
            notify_after=func.now() if notify else None,
            rows=rows,
            size_bytes=size_bytes,
        )

    async def retry(self, lease: Lease, *, counted: bool) -> None:
        """Leave the work for later; counted, it was one of the attempts that the work has.

        Raises:
            LeaseLostError: It is somebody else's already.
        """
        pause = self._pace.pause_seconds(age_seconds=lease.age_seconds)
        attempts = Export.attempts if counted else Export.attempts - 1
        await self._change(lease, **_QUEUED, attempts=attempts, available_at=from_now(pause))

    async def release(self, lease: Lease) -> None:
        """Give the work back because this worker stops; counts as no attempt.

        Raises:
            LeaseLostError: It is somebody else's already.
        """
        await self._change(lease, **_QUEUED, attempts=Export.attempts - 1, available_at=func.now())

    async def fail(self, lease: Lease, failure: Failure) -> None:
        """Give the work up for good.

        Raises:
            LeaseLostError: It is somebody else's already.
        """
        await self._change(lease, status=Status.FAILED, failure=failure, finished_at=func.now(), leased_until=None)

    async def orders(self, lease: Lease, after: OrderRow | None, limit: int) -> list[OrderRow]:
        """Return the next orders of the tenant, the oldest first, from behind one on."""
        position = tuple_(Order.created_at, Order.id)
        statement = (
            select(Order.created_at, Order.id, Order.sku, Order.quantity)
            .where(Order.tenant_id == lease.tenant_id, Order.created_at <= lease.created_at)
            .order_by(Order.created_at, Order.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(position > (after.created_at, after.id))
        async with self._database.sessions.begin() as session:
            return [OrderRow(*row) for row in await session.execute(statement)]

    async def _change(self, lease: Lease, **values: Any) -> None:
        statement = (
            update(Export)
            .where(Export.id == lease.export_id, Export.lease_id == lease.id, Export.status == Status.RUNNING)
            .values(**values)
            .returning(Export.id)
        )
        async with self._database.sessions.begin() as session:
            if await session.scalar(statement) is None:
                raise LeaseLostError


_QUEUED: dict[str, Any] = {
    "status": Status.QUEUED,
    "announced_at": None,
    "lease_id": None,
    "leased_until": None,
}


def from_now(seconds: float) -> ColumnElement[datetime]:
    """Return a time by Postgres's clock."""
    return func.now() + timedelta(seconds=seconds)


def age_seconds(since: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]) -> Cast[float]:
    """Return how long ago something was by Postgres's clock."""
    return cast(func.extract("epoch", func.now() - since), Float)


def waiting() -> ColumnElement[bool]:
    """Rows that nobody works on though it is time."""
    return or_(
        and_(Export.status == Status.QUEUED, Export.available_at <= func.now()),
        and_(Export.status == Status.RUNNING, Export.leased_until < func.now()),
    )
