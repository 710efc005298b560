"""Requests that may be sent again: the header `Idempotency-Key`.

Owns the record of answered requests and the rules about it. The record is written in the transaction of the effect, so
that the two exist together or not at all, whatever dies when; it holds for one user of one tenant and one operation.
Deliberately keeps answers of success only: what failed changed nothing and may be tried again.

A duplicate that arrives while the first is at work waits for it inside Postgres, which ends in the same answer. It uses
nothing that outlives a transaction, so it works through PgBouncer in transaction mode.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Header, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Index,
    Row,
    String,
    Text,
    and_,
    delete,
    func,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.identity import CurrentIdentity
from app.auth.tokens import Identity
from app.database import Base

LIFE = timedelta(hours=24)
"""How long an answer is kept; a client that is still repeating itself then has given up long ago."""
WAIT_MILLISECONDS = 2000
"""Longest that a duplicate waits for the first; it holds a connection meanwhile."""
RETRY_AFTER_SECONDS = 1
SWEEP = 10
"""Expired records that a new one takes away: more than one each, so that the table does not grow for ever."""
_LOCK_NOT_AVAILABLE = "55P03"
# The draft wants a quoted string; most clients send it bare.
_HEADER = r'^([A-Za-z0-9._:-]{8,64}|"[A-Za-z0-9._:-]{8,64}")$'

Model = TypeVar("Model", bound=BaseModel)


class IdempotencyRecord(Base):
    """A request that was answered, or is about to be."""

    __tablename__ = "idempotency_records"
    __table_args__ = (Index(None, "expires_at"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(String(200), primary_key=True)
    """Method and path: the same key may be used for something else elsewhere."""
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The client's."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the request's content, in hexadecimal."""
    answer: Mapped[str | None] = mapped_column(Text)
    """JSON; null for none but the transaction that is at work."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """From when on it counts no more."""


class IdempotencyMismatchError(Exception):
    """The key was used for a request with another content."""


class IdempotencyBusyError(Exception):
    """The first request with the key is still at work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """Which request it is, for this user."""

    tenant_id: UUID
    user_id: UUID
    operation: str
    key: str


async def once(
    session: AsyncSession,
    key: IdempotencyKey | None,
    request: BaseModel | None,
    model: type[Model],
    effect: Callable[[], Awaitable[Model]],
) -> Model:
    """Do something once per key and return its answer every time; without a key, just do it.

    Args:
        session: In the transaction that the effect belongs to; the caller commits.
        key: The client's, or none.
        request: Content of the request, or none.
        model: Type of the answer.
        effect: What to do; its error undoes everything.

    Raises:
        IdempotencyMismatchError: The key was used for another content.
        IdempotencyBusyError: The first request did not end in time.
    """
    if key is None:
        return await effect()
    fingerprint = _fingerprint(request)
    if not await _claim(session, key, fingerprint):
        return model.model_validate_json(await _answer(session, key, fingerprint))
    answer = await effect()
    await session.execute(update(IdempotencyRecord).where(_is(key)).values(answer=answer.model_dump_json()))
    await _sweep(session)
    return answer


async def answered(
    session: AsyncSession, key: IdempotencyKey | None, request: BaseModel | None, model: type[Model]
) -> Model | None:
    """Return the answer that a request had already, None where it had none: before work that no transaction undoes.

    Raises:
        IdempotencyMismatchError: The key was used for another content.
    """
    if key is None:
        return None
    columns = select(IdempotencyRecord.fingerprint, IdempotencyRecord.answer)
    record = (await session.execute(columns.where(_is(key), IdempotencyRecord.expires_at > func.now()))).one_or_none()
    return None if record is None else model.model_validate_json(_checked(record, _fingerprint(request)))


async def _claim(session: AsyncSession, key: IdempotencyKey, fingerprint: str) -> bool:
    """Store that the request is at work; False where it was answered already."""
    values = {"fingerprint": fingerprint, "answer": None, "expires_at": func.now() + LIFE}
    place = {"tenant_id": key.tenant_id, "user_id": key.user_id, "operation": key.operation, "key": key.key}
    record = insert(IdempotencyRecord).values(**place, **values)
    claim = record.on_conflict_do_update(
        index_elements=list(place), set_=values, where=IdempotencyRecord.expires_at <= func.now()
    ).returning(IdempotencyRecord.key)
    try:
        await session.execute(text(f"SET LOCAL lock_timeout = {WAIT_MILLISECONDS}"))
        return await session.scalar(claim) is not None
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise IdempotencyBusyError from exc
        raise


async def _answer(session: AsyncSession, key: IdempotencyKey, fingerprint: str) -> str:
    columns = select(IdempotencyRecord.fingerprint, IdempotencyRecord.answer).where(_is(key))
    return _checked((await session.execute(columns)).one(), fingerprint)


def _checked(record: Row[str, str | None], fingerprint: str) -> str:
    if record.fingerprint != fingerprint:
        raise IdempotencyMismatchError
    return str(record.answer)


def _fingerprint(request: BaseModel | None) -> str:
    content = request.model_dump_json() if request is not None else ""
    return hashlib.sha256(content.encode()).hexdigest()


async def _sweep(session: AsyncSession) -> None:
    place = inspect(IdempotencyRecord).primary_key
    expired = select(*place).where(IdempotencyRecord.expires_at <= func.now()).limit(SWEEP)
    # What another transaction sweeps or claims at this moment is left to it.
    unlocked = expired.with_for_update(skip_locked=True)
    await session.execute(delete(IdempotencyRecord).where(tuple_(*place).in_(unlocked)))


def _is(key: IdempotencyKey) -> ColumnElement[bool]:
    return and_(
        IdempotencyRecord.tenant_id == key.tenant_id,
        IdempotencyRecord.user_id == key.user_id,
        IdempotencyRecord.operation == key.operation,
        IdempotencyRecord.key == key.key,
    )


async def idempotency_key(
    request: Request,
    identity: CurrentIdentity,
    header: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=66,
            pattern=_HEADER,
            description="Makes the request safe to send again.",
        ),
    ] = None,
) -> AsyncIterator[IdempotencyKey | None]:
    """Read the header, and turn what is wrong with the key into its answer."""
    try:
        yield None if header is None else _key(request, identity, header)
    except IdempotencyMismatchError:
        detail = "This Idempotency-Key was used for another request."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail=detail) from None
    except IdempotencyBusyError:
        detail = "The first request with this Idempotency-Key is still at work."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise HTTPException(HTTPStatus.CONFLICT, detail=detail, headers=headers) from None


def _key(request: Request, identity: Identity, header: str) -> IdempotencyKey:
    return IdempotencyKey(
        tenant_id=identity.tenant_id,
        user_id=identity.user_id,
        operation=f"{request.method} {request.url.path}",
        key=header.strip('"'),
    )


CurrentIdempotencyKey = Annotated[IdempotencyKey | None, Depends(idempotency_key, scope="function")]
