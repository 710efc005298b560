"""Object storage: one private bucket.

Owns the client, the time limits and what a failure looks like to the rest. Nothing in the bucket is served from
where it is: whoever may read an object gets it through an endpoint that has checked. Deliberately chooses no names
and no types, and keeps no record of what there is: the rows in Postgres are the truth, and an object that no row
knows is rubbish (`app.chores` removes it).

Reading asks for one part after the other, so that a slow client holds neither a connection nor more than a part.
Credentials come from the platform's identity, which the library finds by itself.
Source: https://developmentseed.org/obstore/latest/
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import obstore
from fastapi import Depends, Request
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from app.settings import Settings

CONNECT_SECONDS = 2
CALL_SECONDS = 10
"""Longest that one call of the storage takes, its repetitions included."""
READ_PART_BYTES = 1_048_576
"""What a download holds in memory."""
WRITE_PART_BYTES = 5_242_880
"""Parts of an object that is written piece by piece; S3 takes no smaller ones."""
WRITE_PARTS_AT_ONCE = 2
LIST_PAGE = 500

_Answer = TypeVar("_Answer")
_logger = logging.getLogger(__name__)


class StorageError(RuntimeError):
    """The storage did not do as it was told; the message is the kind of error, never an address."""


class StorageTimeoutError(StorageError):
    """The storage, or what was to be stored, took too long."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing says of an object."""

    name: str
    written_at: datetime


class Storage:
    """The objects of this service."""

    def __init__(self, store: ObjectStore) -> None:
        """Take the client of a bucket."""
        self._store = store

    async def write(self, name: str, content: AsyncIterator[bytes], *, within_seconds: float) -> None:
        """Store what the iterator gives; nothing is stored when it raises, or when time is up.

        Raises:
            StorageError: The storage failed or was too slow. What the content raises passes as it is.
        """
        put = obstore.put_async(
            self._store, name, content, chunk_size=WRITE_PART_BYTES, max_concurrency=WRITE_PARTS_AT_ONCE
        )
        await _limited(put, within_seconds)

    async def read(self, name: str, size_bytes: int) -> AsyncIterator[bytes]:
        """Return the content, whose first part has already arrived: what is missing is known before an answer begins.

        Raises:
            StorageError: The storage failed, or has no such object.
        """
        first = await self._part(name, 0, size_bytes)

        async def parts() -> AsyncIterator[bytes]:
            yield first
            for start in range(READ_PART_BYTES, size_bytes, READ_PART_BYTES):
                yield await self._part(name, start, size_bytes)

        return parts()

    async def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises:
            StorageError: The storage failed.
        """
        try:
            await _limited(obstore.delete_async(self._store, name))
        except FileNotFoundError:
            return

    async def discard(self, name: str) -> None:
        """Remove an object that nobody needs; where that fails it is left to whoever sweeps."""
        try:
            await self.delete(name)
        except StorageError as exc:
            _logger.warning("an object is left behind: %s", exc, extra={"fields": {"object": name}})

    async def pages(self, prefix: str) -> AsyncIterator[list[StoredObject]]:
        """Give all objects below a prefix, in pages.

        Raises:
            StorageError: The storage failed.
        """
        listing = obstore.list(self._store, prefix, chunk_size=LIST_PAGE)
        while True:
            try:
                page = await _limited(anext(listing))
            except StopAsyncIteration:
                return
            yield [StoredObject(each["path"], each["last_modified"]) for each in page]

    async def _part(self, name: str, start: int, size_bytes: int) -> bytes:
        end = min(start + READ_PART_BYTES, size_bytes)
        try:
            return bytes(await _limited(obstore.get_range_async(self._store, name, start=start, end=end)))
        except FileNotFoundError:
            raise StorageError("no such object") from None


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncGenerator[Storage]:
    """Give the client of the process, which connects at the first call; in memory where no address is set."""
    yield Storage(_store(settings.storage_url or "memory:///"))


def _store(url: str) -> ObjectStore:
    if url.startswith("memory:"):
        return MemoryStore()
    if url.startswith("file:"):
        return LocalStore.from_url(url, mkdir=True)
    return from_url(
        url,
        client_options={
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=CALL_SECONDS),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=CALL_SECONDS)},
    )


async def _limited(call: Awaitable[_Answer], seconds: float = CALL_SECONDS) -> _Answer:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await call
    except TimeoutError:
        if limit.expired():
            raise StorageTimeoutError("too slow") from None
        # Of what was to be written.
        raise
    except (BaseError, PermissionError) as exc:
        # The library's text has addresses and names of buckets.
        raise StorageError(type(exc).__name__) from None


async def get_storage(request: Request) -> Storage:
    """Find the storage that the lifespan opened."""
    found: Storage = request.state.storage
    return found


ObjectStorage = Annotated[Storage, Depends(get_storage)]
