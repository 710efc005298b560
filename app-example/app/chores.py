"""What has to be done again and again, by every worker.

Owns the sweep (work that nobody was told of, or whose worker died), the notices that are due, and the removal of what
is over: old exports, and objects that no row knows. Each chore may run in several workers at once, is bounded in what
it takes at a time, and is tried again at its next turn when it fails.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import uniform
from uuid import UUID

from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from app.attachments.models import PREFIX as ATTACHMENTS
from app.attachments.repository import AttachmentRepository
from app.database import Database
from app.exports.jobs import NOTIFY, RUN
from app.exports.models import PREFIX as EXPORTS
from app.exports.outbox import Outbox
from app.queue import JobQueue, forget_dead_consumers
from app.redis import UNAVAILABLE
from app.storage import Storage, StorageError, StoredObject

ORPHAN_AGE = timedelta(hours=1)
"""An object without a row may be one whose row is about to come; no upload and no attempt takes this long."""
CHORE_SECONDS = 300
"""Longest that one turn of a chore takes."""

Ids = tuple[UUID, ...]
"""What names an object: an attachment, or an export and the attempt."""
_AWAY = (*UNAVAILABLE, DBAPIError, StorageError)
"""A dependency does not answer; it may at the next turn."""

_logger = logging.getLogger(__name__)


class Chores:
    """The chores of one worker."""

    def __init__(self, database: Database, storage: Storage, queue: JobQueue, outbox: Outbox) -> None:
        """Take what is looked after."""
        self._database = database
        self._storage = storage
        self._queue = queue
        self._outbox = outbox

    async def sweep(self) -> None:
        """Announce what waits, and give up what no worker survives."""
        for export_id in await self._outbox.give_up():
            _logger.error("no worker survived an export", extra={"fields": {"export_id": str(export_id)}})
        for job, due in ((RUN, await self._outbox.unannounced()), (NOTIFY, await self._outbox.to_notify())):
            for export_id in due:
                if not await self._queue.put(job, export_id):
                    return

    async def clean(self) -> None:
        """Remove what is over."""
        while await self._outbox.forget():
            pass
        removed = await self._remove(ATTACHMENTS, self._attached) + await self._remove(EXPORTS, self._exported)
        _logger.info("storage is swept", extra={"fields": {"removed": removed}})

    async def _remove(self, prefix: str, known: Callable[[set[Ids]], Awaitable[set[Ids]]]) -> int:
        removed = 0
        async for page in self._storage.pages(prefix):
            old = {_ids(each.name.removeprefix(prefix)): each.name for each in page if _is_old(each)}
            for ids in old.keys() - await known(set(old)):
                await self._storage.discard(old[ids])
                removed += 1
        return removed

    async def _attached(self, objects: set[Ids]) -> set[Ids]:
        async with self._database.sessions.begin() as session:
            return {(known,) for known in await AttachmentRepository(session).known({ids[0] for ids in objects})}

    async def _exported(self, objects: set[Ids]) -> set[Ids]:
        return {*await self._outbox.results({(ids[0], ids[1]) for ids in objects})}


async def repeat(name: str, chore: Callable[[], Awaitable[None]], every_seconds: float) -> None:
    """Do a chore again and again, whatever becomes of it, never quite at the same time as other workers."""
    while True:
        try:
            async with asyncio.timeout(CHORE_SECONDS):
                await chore()
        except _AWAY as exc:
            _logger.warning("a chore failed", extra={"fields": {"chore": name, "error": type(exc).__name__}})
        except Exception:
            _logger.exception("a chore failed", extra={"fields": {"chore": name}})
        await asyncio.sleep(every_seconds * uniform(1, 1.2))


def of_redis(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the chore that keeps the queue's own bookkeeping small."""

    async def forget() -> None:
        await forget_dead_consumers(redis)

    return forget


def _is_old(each: StoredObject) -> bool:
    return each.written_at < datetime.now(UTC) - ORPHAN_AGE


def _ids(name: str) -> Ids:
    """Return the ids that a generated name is made of; whoever else writes into the bucket ends the chore."""
    return tuple(map(UUID, name.split("/")))
