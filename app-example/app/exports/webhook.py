"""Telling the webhook that an export is done.

Owns when, what and how often: at least once, with the export's id as `Idempotency-Key`, so that the receiver can see
that it knows already. The row says until when nobody else should try; a worker that dies leaves it to the next.
Deliberately sends ids and no content: whoever wants it fetches it with a token of their own.
"""

import json
import logging
from uuid import UUID

from sqlalchemy import func, update

from app.database import Database
from app.exports.leases import from_now
from app.exports.models import Export
from app.jobs import Outcome
from app.outbound import IDEMPOTENCY_KEY, Outbound, UpstreamUnavailableError
from app.pace import Pace

CALL_SECONDS = 60
"""Longer than a call with all its repetitions takes: until then nobody else tries."""

_logger = logging.getLogger(__name__)


class WebhookNotifier:
    """Tells the webhook of finished exports."""

    def __init__(self, database: Database, outbound: Outbound, url: str, pace: Pace) -> None:
        """Take the rows, the HTTP client, the address and the times."""
        self._database = database
        self._outbound = outbound
        self._url = url
        self._pace = pace

    async def run(self, export_id: UUID) -> Outcome:
        """Tell of an export if it is time and nobody else does; raises only what keeps Postgres from being told."""
        attempts = await self._claim(export_id)
        if attempts is None:
            return Outcome.IDLE
        try:
            response = await self._outbound.call(
                "webhook",
                "POST",
                self._url,
                content=json.dumps({"event": "export.done", "export_id": str(export_id)}).encode(),
                headers={"Content-Type": "application/json", IDEMPOTENCY_KEY: str(export_id)},
            )
            delivered = response.is_success
        except UpstreamUnavailableError:
            # Logged where it was raised.
            delivered = False
        if delivered:
            await self._next(export_id, None)
            return Outcome.DONE
        if attempts < self._pace.max_attempts:
            await self._next(export_id, self._pace.pause_seconds(attempts))
            return Outcome.RETRIED
        await self._next(export_id, None)
        _logger.error("the webhook was not told of an export", extra={"fields": {"export_id": str(export_id)}})
        return Outcome.FAILED

    async def _claim(self, export_id: UUID) -> int | None:
        statement = (
            update(Export)
            .where(Export.id == export_id, Export.notify_after <= func.now())
            .values(notify_after=from_now(CALL_SECONDS), notify_attempts=Export.notify_attempts + 1)
            .returning(Export.notify_attempts)
        )
        async with self._database.sessions.begin() as session:
            return await session.scalar(statement)

    async def _next(self, export_id: UUID, pause_seconds: float | None) -> None:
        after = None if pause_seconds is None else from_now(pause_seconds)
        async with self._database.sessions.begin() as session:
            await session.execute(update(Export).where(Export.id == export_id).values(notify_after=after))
