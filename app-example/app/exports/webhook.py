"""Telling the webhook that an export is done.

Owns when, what and how often: again and again until it answers with success, or for `Pace.give_up_seconds`, with the
export's id as `Idempotency-Key`, so that the receiver can see that it knows already. The row says until when nobody
else should try; a worker that dies leaves it to the next. Deliberately sends ids and no content: whoever wants it
fetches it with a token of their own.
"""

import json
import logging
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, update

from app.database import Database
from app.exports.leases import age_seconds, from_now
from app.exports.models import Export
from app.jobs import Outcome
from app.outbound import IDEMPOTENCY_KEY, Outbound, UpstreamUnavailableError
from app.pace import Pace

SERVICE = "webhook"
"""Name in errors and log lines."""
SPARE_SECONDS = 10
"""Beyond the longest call, for what comes before and after it: until then nobody else tries."""

_logger = logging.getLogger(__name__)


class _Claim(NamedTuple):
    """The right to tell of an export."""

    attempt: int
    age_seconds: float
    """Since the export was done."""


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
        claim = await self._claim(export_id)
        if claim is None:
            return Outcome.IDLE
        failure = await self._tell(export_id)
        if failure is None:
            await self._end(export_id)
            return Outcome.DONE
        fields = {"service": SERVICE, "export_id": str(export_id), "attempt": claim.attempt, **failure}
        _logger.warning("the webhook was not told of an export", extra={"fields": fields})
        if claim.age_seconds < self._pace.give_up_seconds:
            return await self._again(export_id, claim)
        await self._end(export_id)
        _logger.error("the webhook will not be told of an export", extra={"fields": fields})
        return Outcome.FAILED

    async def _tell(self, export_id: UUID) -> dict[str, str | None] | None:
        """Call the webhook, and return what went wrong, for the log; None where nothing did."""
        try:
            response = await self._outbound.call(
                SERVICE,
                "POST",
                self._url,
                content=json.dumps({"event": "export.done", "export_id": str(export_id)}).encode(),
                headers={"Content-Type": "application/json", IDEMPOTENCY_KEY: str(export_id)},
            )
        except UpstreamUnavailableError as exc:
            return {"reason": exc.reason, "error": exc.error}
        return None if response.is_success else {"reason": "refused", "error": f"status {response.status_code}"}

    async def _claim(self, export_id: UUID) -> _Claim | None:
        held_seconds = self._outbound.deadline_seconds + SPARE_SECONDS
        statement = (
            update(Export)
            .where(Export.id == export_id, Export.notify_after <= func.now())
            .values(notify_after=from_now(held_seconds), notify_attempts=Export.notify_attempts + 1)
            .returning(Export.notify_attempts, age_seconds(Export.finished_at))
        )
        async with self._database.sessions.begin() as session:
            row = (await session.execute(statement)).one_or_none()
        return None if row is None else _Claim(*row)

    async def _again(self, export_id: UUID, claim: _Claim) -> Outcome:
        """Leave it for later, unless somebody else has tried since, and may have succeeded."""
        statement = (
            update(Export)
            .where(Export.id == export_id, Export.notify_attempts == claim.attempt, Export.notify_after.is_not(None))
            .values(announced_at=None, notify_after=from_now(self._pace.pause_seconds(age_seconds=claim.age_seconds)))
            .returning(Export.id)
        )
        async with self._database.sessions.begin() as session:
            return Outcome.LOST if await session.scalar(statement) is None else Outcome.RETRIED

    async def _end(self, export_id: UUID) -> None:
        async with self._database.sessions.begin() as session:
            await session.execute(update(Export).where(Export.id == export_id).values(notify_after=None))
