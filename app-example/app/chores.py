"""What has to be done again and again, by every worker.

Owns the sweep (work that nobody was told of, or whose worker died), the notices that are due, and the removal of what
is over: old exports, and objects that no row knows. Each chore may run in several workers at once, is bounded in what
it takes at a time, and is tried again at its next turn when it fails; none waits for another.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import uniform
from uuid import UUID

from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from app.attachments.models import PREFIX as ATTACHMENTS
from app.attachments.repository import AttachmentRepository
from app.database import Database
from app.error_reports import ErrorReports
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
CLEAN_SECONDS = 3600
"""Longest that one look at all objects of a kind takes: some millions."""

Ids = tuple[UUID, ...]
"""What names an object: an attachment, or an export and the attempt."""
_AWAY = (*UNAVAILABLE, DBAPIError, StorageError)
"""A dependency does not answer; it may at the next turn."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """What is done again and again."""

    name: str
    do: Callable[[], Awaitable[None]]
    every_seconds: float
    within_seconds: float = CHORE_SECONDS


class Chores:
    """The chores of one worker."""

    def __init__(self, database: Database, storage: Storage, queue: JobQueue, outbox: Outbox, *, notify: bool) -> None:
        """Take what is looked after, and whether there is anybody to be told of finished exports."""
        self._database = database
        self._storage = storage
        self._queue = queue
        self._outbox = outbox
        self._notify = notify

    async def sweep(self) -> None:
        """Announce what waits, and give up what no worker survives."""
        for export_id in await self._outbox.give_up():
            _logger.error("no worker survived an export", extra={"fields": {"export_id": str(export_id)}})
        if await self._announce(RUN, await self._outbox.unannounced()) and self._notify:
            await self._announce(NOTIFY, await self._outbox.to_notify())

    async def forget(self) -> None:
        """Remove the exports that were kept long enough; their objects are then nobody's."""
        while await self._outbox.forget():
            pass

    async def clean_attachments(self) -> None:
        """Remove the objects of attachments that no row knows."""
        await self._remove(ATTACHMENTS, 1, self._attached)

    async def clean_exports(self) -> None:
        """Remove the objects of exports that no row knows."""
        await self._remove(EXPORTS, 2, self._exported)

    async def _announce(self, job: str, due: Sequence[UUID]) -> bool:
        for export_id in due:
            if not await self._queue.put(job, export_id):
                return False
        return True

    async def _remove(self, prefix: str, parts: int, known: Callable[[set[Ids]], Awaitable[set[Ids]]]) -> None:
        removed = foreign = 0
        async for page in self._storage.pages(prefix):
            old = {each.name: _ids(each.name.removeprefix(prefix), parts) for each in page if _is_old(each)}
            ours = {ids: name for name, ids in old.items() if ids}
            foreign += len(old) - len(ours)
            for ids in ours.keys() - await known(set(ours)):
                await self._storage.discard(ours[ids])
                removed += 1
        _logger.info("storage is swept", extra={"fields": {"prefix": prefix, "removed": removed}})
        if foreign:
            fields = {"prefix": prefix, "objects": foreign}
            _logger.warning("the storage has objects that are not ours; they are left alone", extra={"fields": fields})

    async def _attached(self, objects: set[Ids]) -> set[Ids]:
        async with self._database.sessions.begin() as session:
            return {(known,) for known in await AttachmentRepository(session).known({ids[0] for ids in objects})}

    async def _exported(self, objects: set[Ids]) -> set[Ids]:
        return {*await self._outbox.results({(ids[0], ids[1]) for ids in objects})}


async def repeat(chore: Chore, reports: ErrorReports) -> None:
    """Do a chore again and again, whatever becomes of it, never quite at the same time as other workers."""
    while True:
        try:
            async with asyncio.timeout(chore.within_seconds):
                await chore.do()
        except _AWAY as exc:
            _logger.warning("a chore failed", extra={"fields": {"chore": chore.name, "error": type(exc).__name__}})
        except Exception as exc:
            _logger.exception("a chore failed", extra={"fields": {"chore": chore.name}})
            reports.capture(exc, where=chore.name)
        await asyncio.sleep(chore.every_seconds * uniform(1, 1.2))


def of_redis(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Return the chore that keeps the queue's own bookkeeping small."""

    async def forget() -> None:
        await forget_dead_consumers(redis)

    return forget


def _is_old(each: StoredObject) -> bool:
    return each.written_at < datetime.now(UTC) - ORPHAN_AGE


def _ids(name: str, parts: int) -> Ids | None:
    """Return the ids that a generated name is made of; None where somebody else has made it."""
    try:
        ids = tuple(map(UUID, name.split("/")))
    except ValueError:
        return None
    return ids if len(ids) == parts and "/".join(map(str, ids)) == name else None
