"""Doing an export.

Owns one attempt from claim to finish: orders are read in batches by keyset and go to the storage as they come, so
that memory does not grow with the tenant, and no connection to Postgres is held while the storage works. Deliberately
not in one transaction: hours of snapshot would cost more than what is gained, and the newest order is fixed by the
time of the request.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from app.database_errors import is_outage
from app.error_reports import ErrorReports
from app.exports import table
from app.exports.jobs import RUN
from app.exports.leases import Lease, LeaseLostError, Leases, OrderRow
from app.exports.models import Failure, object_name
from app.jobs import Outcome
from app.pace import Pace
from app.storage import Storage, StorageError, StorageTimeoutError

BATCH_ROWS = 500

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Written:
    rows: int = 0
    size_bytes: int = 0


class ExportRunner:
    """Does exports on behalf of a worker."""

    def __init__(self, leases: Leases, storage: Storage, pace: Pace, reports: ErrorReports, *, notify: bool) -> None:
        """Take the rows, where files go, the times, who hears of errors, and whether anybody of finished exports."""
        self._leases = leases
        self._storage = storage
        self._pace = pace
        self._reports = reports
        self._notify = notify

    async def run(self, export_id: UUID) -> Outcome:
        """Do an export if nobody else does; raises only what cancels it or keeps Postgres from being told."""
        lease = await self._leases.claim(export_id)
        if lease is None:
            return Outcome.IDLE
        try:
            return await self._attempt(lease)
        except LeaseLostError:
            return Outcome.LOST
        except asyncio.CancelledError:
            await _release(self._leases, lease)
            raise

    async def _attempt(self, lease: Lease) -> Outcome:
        try:
            written = await self._write_while_held(lease)
            await self._leases.finish(lease, rows=written.rows, size_bytes=written.size_bytes, notify=self._notify)
        except LeaseLostError:
            raise
        except Exception as exc:
            return await self._retry_or_fail(lease, *self._judged(lease, exc))
        return Outcome.DONE

    def _judged(self, lease: Lease, error: Exception) -> tuple[Failure, bool]:
        """Log why an attempt failed, and return it with whether only another service is to blame."""
        if isinstance(error, StorageError):
            _logger.warning("an export could not be stored: %s", error, extra=_fields(lease))
            # Our own time for the whole work was up: waiting makes it no smaller.
            return (Failure.TIMEOUT, False) if isinstance(error, StorageTimeoutError) else (Failure.STORAGE, True)
        if is_outage(error):
            _logger.warning("an export lost its database", extra=_fields(lease, error=type(error).__name__))
            return Failure.INTERNAL, True
        _logger.error("an export failed", exc_info=error, extra=_fields(lease))
        self._reports.capture(error, where=RUN)
        return Failure.INTERNAL, False

    async def _retry_or_fail(self, lease: Lease, failure: Failure, may_pass: bool) -> Outcome:
        is_last = (
            lease.age_seconds >= self._pace.give_up_seconds if may_pass else lease.attempts >= self._pace.max_attempts
        )
        if is_last:
            await self._leases.fail(lease, failure)
            return Outcome.FAILED
        await self._leases.retry(lease, counted=not may_pass)
        return Outcome.RETRIED

    async def _write_while_held(self, lease: Lease) -> _Written:
        written = _Written()
        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(self._renew(lease))
                await self._storage.write(
                    object_name(lease.export_id, lease.id),
                    self._content(lease, written),
                    within_seconds=self._pace.work_seconds,
                )
                renewal.cancel()
        except ExceptionGroup as group:
            # The first one ended the others.
            raise group.exceptions[0] from None
        return written

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._pace.lease_seconds / 3)
            try:
                await self._leases.renew(lease)
            except LeaseLostError:
                raise
            except Exception as exc:
                # Postgres may be back before the lease ends; if it is not, nothing can be finished anyway.
                _logger.warning("a lease was not renewed", extra=_fields(lease, error=type(exc).__name__))

    async def _content(self, lease: Lease, written: _Written) -> AsyncIterator[bytes]:
        part = table.lines([table.HEAD])
        last: OrderRow | None = None
        while True:
            written.size_bytes += len(part)
            yield part
            orders = await self._leases.orders(lease, last, BATCH_ROWS)
            if not orders:
                return
            written.rows += len(orders)
            last = orders[-1]
            part = table.lines((order.id, order.sku, order.quantity, order.created_at) for order in orders)


async def _release(leases: Leases, lease: Lease) -> None:
    """Give a lease back; where that fails it ends by itself."""
    try:
        await leases.release(lease)
    except Exception as exc:
        _logger.warning("a lease was not given back", extra=_fields(lease, error=type(exc).__name__))


def _fields(lease: Lease, **more: str) -> dict[str, dict[str, str | int]]:
    return {"fields": {"export_id": str(lease.export_id), "attempt": lease.attempts, **more}}
