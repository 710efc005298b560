"""Paging by keyset.

Owns the cursor, which says where a page ended, and the query parameters of every list. Deliberately offers no
offset and no total: both cost more with every row, and an offset skips or repeats rows while others write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol, Self, TypeVar
from uuid import UUID

from fastapi import Depends, Query

MAX_LIMIT = 100
"""Most items on a page."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# 14 digits reach the year 4253: whatever matches can be decoded.
_CURSOR_PATTERN = "^[0-9a-f]{1,14}-[0-9a-f]{32}$"


class Placed(Protocol):
    """Whatever has a place in such a list."""

    @property
    def created_at(self) -> datetime:
        """Time of creation."""
        ...

    @property
    def id(self) -> UUID:
        """What tells items of the same moment apart."""
        ...


Item = TypeVar("Item", bound=Placed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Position in a list that is sorted by time of creation, and by id where times are equal."""

    created_at: datetime
    id: UUID

    @classmethod
    def decode(cls, token: str) -> Self:
        """Read what `encode` wrote; the token must match the pattern of the query parameter."""
        microseconds, _, key = token.partition("-")
        return cls(created_at=_EPOCH + int(microseconds, 16) * _MICROSECOND, id=UUID(key))

    def encode(self) -> str:
        """Return the token for the next request; clients treat it as opaque."""
        return f"{(self.created_at - _EPOCH) // _MICROSECOND:x}-{self.id.hex}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PageQuery:
    """What a client asks of a list."""

    after: Cursor | None
    limit: int


def cut(items: Sequence[Item], limit: int) -> tuple[list[Item], str | None]:
    """Return the first `limit` items, and the token of the next page where there are more.

    Read one more than the limit: whether it is there tells whether there is a next page.
    """
    shown = list(items[:limit])
    if len(items) == len(shown):
        return shown, None
    return shown, Cursor(created_at=shown[-1].created_at, id=shown[-1].id).encode()


async def page_query(
    after: Annotated[
        str | None, Query(max_length=47, pattern=_CURSOR_PATTERN, description="`next_after` of a page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items to return.")] = 20,
) -> PageQuery:
    """Read the query parameters `after` and `limit`."""
    return PageQuery(after=Cursor.decode(after) if after else None, limit=limit)


Page = Annotated[PageQuery, Depends(page_query)]
