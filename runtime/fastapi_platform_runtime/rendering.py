"""What a revision would send to Postgres, without one.

Owns the SQL of Alembic's offline mode, statement by statement: the line of the revision that each comes from, and
whether it runs in a transaction, as the runner would send it. Deliberately does not run `env.py`, like the runner, and
guesses no answer of a database: a revision that asks for one stops there, and what it sent until then is kept.

Source: https://alembic.sqlalchemy.org/en/latest/offline.html
"""

import re
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CHAR, Enum, Float, Numeric, String, TextClause
from sqlalchemy.engine.mock import MockConnection

from .revisions import History, Phase, Revision

_PIECE = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<quoted>[eE]?'(?:[^'\\]|''|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r'|(?P<name>"[^"]*")|(?P<end>;)',
    re.DOTALL,
)


_ANSWER = "it reads what the database answers"


class NeedsDatabase(Exception):
    """A revision asked for something that only a database knows."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a revision."""

    sql: str
    """As sent, without comments, which would otherwise tell the judge to look away."""
    shape: str
    """On one line, with the text of each literal left out: what may be shown, and what patterns are looked for in."""
    line: int | None
    """Of the revision's file."""
    in_transaction: bool
    widens: bool
    """Whether the type it changes to is stated to hold all of the old one in the same form, so nothing is rewritten."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """A revision as SQL."""

    statements: tuple[Statement, ...]
    stopped: str | None = None
    """Why it was not rendered to its end."""
    stopped_line: int | None = None


@dataclass(slots=True)
class _Output:
    """Alembic's output: takes each piece, and notes where in the revision it comes from."""

    path: str
    widens: bool = False
    in_transaction: bool = False
    statements: list[Statement] = field(default_factory=list[Statement])

    def write(self, text: str) -> None:
        frames = traceback.walk_stack(None)
        line = next((number for frame, number in frames if frame.f_code.co_filename == self.path), None)
        for sql, shape in split(text):
            begins = shape.upper() in ("BEGIN", "COMMIT")
            if begins:
                self.in_transaction = shape.upper() == "BEGIN"
            self.statements.append(Statement(sql, shape, line, self.in_transaction and not begins, self.widens))

    def flush(self) -> None:
        """Nothing is kept back."""


class _Unknown:
    """The answer of a statement that nobody ran."""

    def __getattr__(self, _name: str) -> Any:
        raise NeedsDatabase(_ANSWER)

    def __bool__(self) -> bool:
        raise NeedsDatabase(_ANSWER)

    def __iter__(self) -> Generator[Any]:
        raise NeedsDatabase(_ANSWER)


class _Connection(MockConnection):
    """What `op.get_bind()` gives: it writes statements down, and has no answers."""

    def execute(self, obj: Any, parameters: Any = None, execution_options: Any = None) -> Any:
        if isinstance(obj, TextClause) and isinstance(parameters, dict):
            obj = obj.bindparams(**parameters)
        self._execute_impl(obj)
        return _Unknown()


def render(history: History, revision: Revision) -> Rendering:
    """Render one revision as the runner would send it: a backfill outside a transaction, everything else in one."""
    output = _Output(revision.script.path)
    stream: Any = output
    with EnvironmentContext(Config(), history.scripts, as_sql=True) as environment:
        environment.configure(dialect_name="postgresql", literal_binds=True, output_buffer=stream)
        environment.is_offline_mode = _asked
        context: Any = environment.get_context()
        impl = context.impl
        context.connection = impl.connection = _Connection(context.dialect, impl.execute)
        impl.alter_column = _noting(impl.alter_column, output)
        try:
            with Operations.context(context):
                _send(revision, context)
        except Exception as exc:
            lines = [frame.lineno for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == output.path]
            said = str(exc) if isinstance(exc, NeedsDatabase) else f"{type(exc).__name__}: {exc}"
            why = " ".join(said.split())[:200]
            return Rendering(tuple(output.statements), why, lines[-1] if lines else None)
    return Rendering(tuple(output.statements))


def split(text: str) -> Generator[tuple[str, str]]:
    """Split a text at the semicolons that end statements; gives each one, and its shape."""
    sql, shape, at = "", "", 0
    for piece in [*_PIECE.finditer(text), None]:
        between = text[at : piece.start() if piece else None]
        sql, shape = sql + between, shape + between
        if piece and piece["comment"]:
            sql, shape = f"{sql} ", f"{shape} "
        elif piece and not piece["end"]:
            sql, shape = sql + piece[0], shape + (piece["name"] or "'…'")
        elif shape.strip():
            yield sql.strip(), " ".join(shape.split())
            sql, shape = "", ""
        at = piece.end() if piece else at


def _send(revision: Revision, context: MigrationContext) -> None:
    upgrade: Any = revision.script.module.upgrade
    if revision.phase is Phase.BACKFILL:
        upgrade()
        return
    impl = context.impl
    impl.emit_begin()
    try:
        upgrade()
    finally:
        impl.emit_commit()


def _asked() -> bool:
    """Do not answer: a revision that does something else offline would be judged for that."""
    raise NeedsDatabase("it asks whether it runs offline")


def _noting(alter_column: Callable[..., None], output: _Output) -> Callable[..., None]:
    """Note what only the operation knows, and not its SQL: the type that a column has before it is changed."""

    def noted(*names: Any, **changes: Any) -> None:
        output.widens = widens(changes.get("existing_type"), changes.get("type_"))
        alter_column(*names, **changes)
        output.widens = False

    return noted


def widens(old: object, new: object) -> bool:
    """Whether Postgres changes a type without looking at a row: a longer string, or more digits before the point.

    Source: https://www.postgresql.org/docs/current/sql-altertable.html (Notes)
    """
    if isinstance(old, (CHAR, Enum, Float)) or isinstance(new, (CHAR, Enum, Float)):
        return False
    if isinstance(old, String) and isinstance(new, String):
        return new.length is None or (old.length is not None and new.length >= old.length)
    if isinstance(old, Numeric) and isinstance(new, Numeric):
        within = old.precision is not None and new.precision is not None and new.precision >= old.precision
        return new.precision is None or (within and old.scale == new.scale)
    return False
