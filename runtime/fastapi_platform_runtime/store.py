"""What a database remembers about its schema.

Owns Alembic's version table and, beside it, `fastapi_platform_schema`: for every applied revision, its phase and the
oldest revision whose images may run on the schema after it. Both are written in the transaction of the revision itself.
Deliberately keeps all rows: they are the history of the schema, and an image may be any age.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from sqlalchemy import Column, Connection, DateTime, MetaData, Table, Text, func, inspect, select
from sqlalchemy.dialects.postgresql import insert

from .backfill import PROGRESS, Progress
from .outcome import Outcome, Stop
from .revisions import History, Phase, Revision

DECLARATIONS = "fastapi_platform_schema"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tables are: `version_table` and `version_table_schema` of Alembic's configuration."""

    version_table: str
    schema: str | None

    @classmethod
    def of(cls, config: Config) -> "Place":
        """As configured, else Alembic's own name in the first schema of the search path."""
        table = config.get_main_option("version_table") or "alembic_version"
        return cls(table, config.get_main_option("version_table_schema"))

    @property
    def declarations(self) -> Table:
        """The table of declarations."""
        return Table(
            DECLARATIONS, MetaData(),
            Column("revision", Text, primary_key=True),
            Column("phase", Text),
            Column("oldest_compatible", Text, nullable=False),
            Column("applied_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
            schema=self.schema,
        )


@dataclass(frozen=True, slots=True)
class State:
    """Where a database is."""

    revision: str | None
    """The applied revision; none for a new database."""
    declared: dict[str, str] = field(default_factory=dict[str, str])
    """The oldest compatible revision, by revision."""


def look(connection: Connection, place: Place) -> State:
    """Read, and change nothing.

    Raises:
        Stop: The database is at several revisions at once.
    """
    options = {"version_table": place.version_table, "version_table_schema": place.schema}
    heads = MigrationContext.configure(connection, opts=options).get_current_heads()
    if len(heads) > 1:
        raise Stop(Outcome.USAGE, f"the database is at {len(heads)} revisions at once: want one line, no branches")
    table = place.declarations
    declared: dict[str, str] = {}
    if inspect(connection).has_table(table.name, schema=place.schema):
        rows = connection.execute(select(table.c.revision, table.c.oldest_compatible))
        declared = {revision: oldest for revision, oldest in rows}
    return State(heads[0] if heads else None, declared)


@dataclass(slots=True)
class Step:
    """One revision that is being applied."""

    revision: Revision
    progress: Progress
    committed: bool = False
    """Whether some of it may be committed already, by itself, and stays whatever becomes of the rest."""


def apply(connection: Connection, place: Place, history: History, step: Step) -> None:
    """Apply one revision and declare it, in one transaction; a backfill commits each of its statements."""
    scripts, revision = history.scripts, step.revision
    declared = look(connection, place).declared
    connection.rollback()

    def steps(_heads: object, context: Any) -> list[MigrationStep]:
        upgrade = MigrationStep.upgrade_from_script(scripts.revision_map, revision.script)
        context.autocommit_block = _noted(context.autocommit_block, step)
        if revision.phase is Phase.BACKFILL:
            upgrade.migration_fn = _autocommitted(upgrade.migration_fn, context)
        return [upgrade]

    def declare(*_: object, **applied: Any) -> None:
        table, into = place.declarations, applied["ctx"].connection
        if into is not None:
            table.create(into, checkfirst=True)
            values = {"phase": revision.phase, "oldest_compatible": history.oldest_compatible(revision, declared)}
            row = insert(table).values(revision=revision.id, **values)
            into.execute(row.on_conflict_do_update(index_elements=["revision"], set_=values))

    options: dict[str, Any] = {PROGRESS: step.progress}
    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(
            connection=connection,
            on_version_apply=declare,
            transaction_per_migration=True,
            version_table=place.version_table,
            version_table_schema=place.schema,
            **options,
        )
        with environment.begin_transaction():
            environment.run_migrations()


def _noted(block: Callable[[], AbstractContextManager[None]], step: Step) -> Callable[..., Any]:
    """Alembic's `autocommit_block`, which also may stand inside itself: a backfill is one already."""
    inside = False

    @contextmanager
    def noted() -> Generator[None]:
        nonlocal inside
        if inside:
            yield
            return
        inside = step.committed = True
        try:
            with block():
                yield
        finally:
            inside = False

    return noted


def _autocommitted(migrate: Callable[..., Any], context: MigrationContext) -> Callable[..., Any]:
    def run(**arguments: Any) -> None:
        with context.autocommit_block():
            migrate(**arguments)

    return run
