"""What one can do with attachments.

Owns the rules, where a transaction begins and ends, and the order of the two stores: the object is written before
its row and removed after it. So a row always has its content, and what a crash leaves in between is an object without
a row, which is swept (`app.chores`). No connection to Postgres is held while the storage works.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile

from app.attachments.models import Attachment
from app.attachments.repository import AttachmentRepository
from app.attachments.schemas import AttachmentContent, AttachmentList, AttachmentRead
from app.attachments.upload import ReceivedFile
from app.auth.identity import CurrentIdentity
from app.auth.tokens import Identity
from app.database import Session
from app.database_errors import is_outage
from app.idempotency import (
    IdempotencyBusyError,
    IdempotencyKey,
    IdempotencyMismatchError,
    answered,
    once,
)
from app.storage import READ_PART_BYTES, ObjectStorage, Storage

MAX_PER_ORDER = 20
WRITE_SECONDS = 20
"""Longest that storing one file takes; the whole upload has `app.attachments.upload.UPLOAD_SECONDS`."""


class AttachmentNotFoundError(LookupError):
    """The tenant has no such order or attachment."""


class TooManyAttachmentsError(ValueError):
    """The order has as many as it may have."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way to a client."""

    attachment: AttachmentRead
    content: AsyncIterator[bytes]


class AttachmentService:
    """Attachments, for the length of one request."""

    def __init__(self, session: AsyncSession, storage: Storage, identity: Identity) -> None:
        """Work in the session of the request, on behalf of who calls."""
        self._session = session
        self._identity = identity
        self._storage = storage
        self._attachments = AttachmentRepository(session)

    async def add(self, order_id: UUID, file: ReceivedFile, key: IdempotencyKey | None) -> AttachmentRead:
        """Keep a file, once per key; stored and committed when this returns.

        Raises:
            AttachmentNotFoundError: There is no such order.
            TooManyAttachmentsError: The order has no room for another.
            StorageError: The storage did not take it.
            IdempotencyMismatchError: The key was used for another file.
            IdempotencyBusyError: The first request with the key is still at work.
        """
        described = None if key is None else await _described(file)
        attachment = self._new(order_id, file)

        async def store() -> AttachmentRead:
            await self._check_room(order_id, lock=True)
            await self._attachments.add(attachment)
            return AttachmentRead.model_validate(attachment)

        async with self._session.begin():
            known = await answered(self._session, key, described, AttachmentRead)
            if known is not None:
                return known
            await self._check_room(order_id)
        await self._storage.write(attachment.object_name, _parts(file.content), within_seconds=WRITE_SECONDS)
        try:
            async with self._session.begin():
                added = await once(self._session, key, described, AttachmentRead, store)
        except Exception as exc:
            if _has_no_row(exc):
                await self._storage.discard(attachment.object_name)
            raise
        if added.id != attachment.id:
            # Another request with the key was faster.
            await self._storage.discard(attachment.object_name)
        return added

    async def list(self, order_id: UUID) -> AttachmentList:
        """Return the attachments of an order.

        Raises:
            AttachmentNotFoundError: There is no such order.
        """
        found = await self._attachments.of_order(self._identity.tenant_id, order_id, MAX_PER_ORDER)
        if not found and not await self._attachments.has_order(self._identity.tenant_id, order_id):
            raise AttachmentNotFoundError
        return AttachmentList(items=[AttachmentRead.model_validate(each) for each in found])

    async def open(self, order_id: UUID, attachment_id: UUID) -> Download:
        """Return an attachment with its content, whose first part has arrived.

        Raises:
            AttachmentNotFoundError: There is no such attachment.
            StorageError: The storage did not give it.
        """
        async with self._session.begin():
            attachment = await self._attachments.get(self._identity.tenant_id, order_id, attachment_id)
        if attachment is None:
            raise AttachmentNotFoundError
        content = await self._storage.read(attachment.object_name, attachment.size_bytes)
        return Download(AttachmentRead.model_validate(attachment), content)

    async def remove(self, order_id: UUID, attachment_id: UUID) -> None:
        """Remove an attachment for good; committed when this returns.

        Raises:
            AttachmentNotFoundError: There is no such attachment.
        """
        async with self._session.begin():
            attachment = await self._attachments.remove(self._identity.tenant_id, order_id, attachment_id)
        if attachment is None:
            raise AttachmentNotFoundError
        await self._storage.discard(attachment.object_name)

    def _new(self, order_id: UUID, file: ReceivedFile) -> Attachment:
        return Attachment(
            id=uuid4(),
            tenant_id=self._identity.tenant_id,
            order_id=order_id,
            created_by=self._identity.user_id,
            name=file.name,
            media_type=file.media_type,
            size_bytes=file.size_bytes,
        )

    async def _check_room(self, order_id: UUID, *, lock: bool = False) -> None:
        if not await self._attachments.has_order(self._identity.tenant_id, order_id, lock=lock):
            raise AttachmentNotFoundError
        if await self._attachments.count(order_id) >= MAX_PER_ORDER:
            raise TooManyAttachmentsError


def _has_no_row(exc: Exception) -> bool:
    """Whether there is certainly no row, because a rule or Postgres refused it.

    After anything else the commit may have happened and only its answer was lost; the sweep will know.
    """
    refused = (AttachmentNotFoundError, TooManyAttachmentsError, IdempotencyBusyError, IdempotencyMismatchError)
    return isinstance(exc, (*refused, DBAPIError)) and not is_outage(exc)


async def _described(file: ReceivedFile) -> AttachmentContent:
    digest = hashlib.sha256()
    async for part in _parts(file.content):
        digest.update(part)
    await file.content.seek(0)
    return AttachmentContent(name=file.name, media_type=file.media_type, sha256=digest.hexdigest())


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while part := await file.read(READ_PART_BYTES):
        yield part


async def attachment_service(session: Session, storage: ObjectStorage, identity: CurrentIdentity) -> AttachmentService:
    """Provide the service to an endpoint."""
    return AttachmentService(session, storage, identity)


Attachments = Annotated[AttachmentService, Depends(attachment_service)]
