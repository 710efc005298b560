"""Writes a value into every row of a table that is in use, a few rows at a time.

Owns the walk: along the primary key, each batch committed by itself, so that no request waits for more rows than a
batch has. What is still to be done is said by `where`, in the data itself: so a run that was killed is taken up again
by the next one, and no row is written twice. Deliberately keeps no position of its own, and no transaction around it.

    phase = "backfill"

    def upgrade() -> None:
        in_batches("orders", set_="total_cents = total * 100", where="total_cents IS NULL")

Images that still run may add rows behind the walk that are not done: it is repeated until it finds less than a batch.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from alembic import op
from sqlalchemy import BindParameter, TextClause, bindparam, text
from sqlalchemy.engine import AdaptedConnection

PROGRESS = "fastapi_platform_progress"
"""Option of Alembic's context under which the runner says where progress is told."""
TELL_EVERY_SECONDS = 5.0
Progress = Callable[[int, float], None]
"""Told how many rows were written so far, and in how many seconds."""


class BackfillError(ValueError):
    """A backfill that could not end, or not safely."""


def in_batches(
    table: str,
    *,
    set_: str,
    where: str,
    key: str | Sequence[str] = "id",
    rows: int = 1000,
    pause_seconds: float = 0.05,
) -> int:
    """Update all rows that are still to be done.

    Args:
        table: Its name, as in SQL.
        set_: What to write, as in `UPDATE … SET`.
        where: Which rows are still to be done; must no longer be true of a row that was written.
        key: Column or columns of the primary key, or of another unique index whose columns are not null.
        rows: Of a batch, 1 to 100,000: those that a request may have to wait for.
        pause_seconds: After each batch, 0 to 60, in which others get the disk.

    Returns:
        How many rows were written.

    Raises:
        BackfillError: The revision is no backfill, an argument is wrong, or `set_` does not make `where` untrue.
    """
    if not 1 <= rows <= 100_000 or not 0 <= pause_seconds <= 60:
        raise BackfillError(f"got rows {rows} and pause_seconds {pause_seconds}, want 1 to 100000 and 0 to 60")
    columns = (key,) if isinstance(key, str) else tuple(key)
    batch = _Batch(table, set_, where, columns, rows)
    context = op.get_context()
    if context.as_sql:
        op.execute(batch.statement(None))
        return 0
    walk = _Walk(_committing(), batch, pause_seconds, context.opts.get(PROGRESS))
    while not walk.along():
        pass
    walk.tell()
    return walk.written


def _committing() -> Any:
    """The revision's connection, on which every statement commits by itself."""
    connection: Any = op.get_bind()
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        wanted = 'phase = "backfill", or with plain Alembic: with op.get_context().autocommit_block()'
        raise BackfillError(f"each batch is committed by itself: want {wanted}")
    return connection


@dataclass(frozen=True, slots=True)
class _Batch:
    """The statement of one batch."""

    table: str
    set_: str
    where: str
    key: tuple[str, ...]
    rows: int

    def statement(self, after: Sequence[object] | None) -> TextClause:
        """The next rows behind a key, or the first ones.

        Answers how many were found, how many written, how many of those are still to be done, and the last key.
        """
        names = [f"backfill_{number}" for number in range(len(self.key))]
        chosen = ", ".join(f"{column} AS {name}" for column, name in zip(self.key, names, strict=True))
        own = ", ".join(f"{self.table}.{column}" for column in self.key)
        order = ", ".join(self.key)
        behind = f"({order}) > ({', '.join(f':{name}' for name in names)}) AND " if after is not None else ""
        last = "".join(f", (SELECT {name} FROM batch ORDER BY {_descending(names)} LIMIT 1)" for name in names)
        made = text(
            f"WITH batch AS (SELECT {chosen} FROM {self.table} WHERE {behind}({_verbatim(self.where)}) "
            f"ORDER BY {order} LIMIT {self.rows} FOR NO KEY UPDATE), "
            f"done AS (UPDATE {self.table} SET {_verbatim(self.set_)} FROM batch WHERE ({own}) = ({', '.join(names)}) "
            f"RETURNING ({_verbatim(self.where)}) AS again) "
            f"SELECT (SELECT count(*) FROM batch), count(*), count(*) FILTER (WHERE again){last} FROM done"
        )
        # Without a type of ours: Postgres knows the column's.
        values: list[BindParameter[Any]] = [bindparam(*each) for each in zip(names, after or (), strict=False)]
        return made.bindparams(*values)


@dataclass(slots=True)
class _Walk:
    """One run."""

    connection: Any
    batch: _Batch
    pause_seconds: float
    progress: Progress | None
    written: int = 0
    began: float = 0.0
    told: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.told = time.monotonic()

    def along(self) -> bool:
        """Walk along the key once; gives whether there was less than a batch, and all of it was written.

        Raises:
            BackfillError: Rows that were written are still to be done: the walk would never end.
        """
        met, before, after = 0, self.written, None
        while True:
            found, written, again, *last = self.connection.execute(self.batch.statement(after)).one()
            if again:
                raise BackfillError(f"{again} rows that were written are still to be done: set_ must make where untrue")
            met += found
            self.written += written
            if found < self.batch.rows:
                return met < self.batch.rows and self.written - before == met
            after = last
            if time.monotonic() - self.told >= TELL_EVERY_SECONDS:
                self.tell()
            self._pause()

    def _pause(self) -> None:
        """Wait; in the runner its event loop goes on meanwhile, which is what hears a signal."""
        driver = self.connection.connection.dbapi_connection
        if isinstance(driver, AdaptedConnection):
            driver.run_async(lambda _: asyncio.sleep(self.pause_seconds))
        else:
            time.sleep(self.pause_seconds)

    def tell(self) -> None:
        """Say how far it is."""
        self.told = time.monotonic()
        if self.progress:
            self.progress(self.written, self.told - self.began)


def _descending(names: Sequence[str]) -> str:
    return ", ".join(f"{name} DESC" for name in names)


def _verbatim(sql: str) -> str:
    r"""Keep colons: in a text of SQLAlchemy `:name` is a parameter, and `\:` a colon."""
    return sql.replace(":", r"\:")
