"""What a tenant can do with exports.

Owns the rules and where a transaction begins and ends. A request commits the row, and that is what makes the work
happen; it is put into the queue afterwards, so that a worker never looks for a row that is not there. Were the
process to end between the two, or Redis to be away, the row alone would still say that there is work: workers look
for rows that nobody announced (`app.exports.outbox.Outbox.unannounced`). That is a transactional outbox whose outbox
is the row itself.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.tokens import Identity
from app.database import Session
from app.exports.models import Export, Status, object_name
from app.exports.repository import ExportRepository
from app.exports.schemas import ExportRead
from app.idempotency import IdempotencyKey, once
from app.storage import ObjectStorage, Storage

MAX_OPEN = 5
"""Exports that a tenant may wait for at the same time."""


class ExportNotFoundError(LookupError):
    """The tenant has no such export."""


class ExportNotDoneError(ValueError):
    """The export has no content, not yet or never."""


class TooManyExportsError(ValueError):
    """The tenant waits for as many exports as it may."""


@dataclass(frozen=True, slots=True)
class ExportContent:
    """A finished export on its way to a client."""

    export: ExportRead
    content: AsyncIterator[bytes]


class ExportService:
    """Exports, for the length of one request."""

    def __init__(self, session: AsyncSession, storage: Storage) -> None:
        """Work in the session of the request."""
        self._session = session
        self._storage = storage
        self._exports = ExportRepository(session)

    async def request(self, identity: Identity, key: IdempotencyKey | None) -> ExportRead:
        """Ask for an export of the tenant's orders, once per key; committed when this returns.

        Raises:
            TooManyExportsError: The tenant waits for too many already.
            IdempotencyBusyError: The first request with the key is still at work.
        """

        async def store() -> ExportRead:
            if await self._exports.count_open(identity.tenant_id) >= MAX_OPEN:
                raise TooManyExportsError
            export = Export(tenant_id=identity.tenant_id, created_by=identity.user_id)
            await self._exports.add(export)
            return ExportRead.model_validate(export)

        async with self._session.begin():
            return await once(self._session, key, None, ExportRead, store)

    async def find(self, identity: Identity, export_id: UUID) -> ExportRead:
        """Return an export.

        Raises:
            ExportNotFoundError: The tenant has no such export.
        """
        return ExportRead.model_validate(await self._get(identity, export_id))

    async def open(self, identity: Identity, export_id: UUID) -> ExportContent:
        """Return an export with its content, whose first part has arrived.

        Raises:
            ExportNotFoundError: The tenant has no such export.
            ExportNotDoneError: It has no content.
            StorageError: The storage did not give it.
        """
        export = await self._get(identity, export_id)
        if export.status != Status.DONE or export.lease_id is None or export.size_bytes is None:
            raise ExportNotDoneError
        content = await self._storage.read(object_name(export.id, export.lease_id), export.size_bytes)
        return ExportContent(ExportRead.model_validate(export), content)

    async def _get(self, identity: Identity, export_id: UUID) -> Export:
        async with self._session.begin():
            export = await self._exports.get(identity.tenant_id, export_id)
        if export is None:
            raise ExportNotFoundError
        return export


async def export_service(session: Session, storage: ObjectStorage) -> ExportService:
    """Provide the service to an endpoint."""
    return ExportService(session, storage)


Exports = Annotated[ExportService, Depends(export_service)]
