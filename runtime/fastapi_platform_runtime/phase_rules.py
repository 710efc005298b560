"""What a statement of a revision must not do, beside what squawk knows.

Owns two judgements. Which of squawk's rules count, given the phase that a revision declares: dropping is what a
contract is for, and nothing else. And what squawk has no rule for: data moved by a revision that holds its locks
meanwhile, statements that block a table by their nature, statements that cannot be judged or cannot be repeated.
Deliberately leaves out squawk's rules of taste (types, naming), and those for timeouts, which the runner sets.

Sources: https://squawkhq.com/docs/rules https://www.postgresql.org/docs/current/explicit-locking.html
"""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from .rendering import Statement
from .revisions import Phase

OPAQUE = "cannot-be-judged-offline"
"""Name of the rule for what has no SQL to look at."""
_ACKNOWLEDGE = f'write it as plain statements, or acknowledge it: lint_ignore = {{"{OPAQUE}": "why it is safe"}}'
_CONTRACT = 'move it to a revision with phase = "contract", released when no image that needs it runs any more'
_COPY = "expand: add the new one beside the old; backfill: copy; contract: drop the old one"
_BACKFILL = 'move it to a revision with phase = "backfill", in batches: fastapi_platform_runtime.backfill.in_batches'
_OUTSIDE = "with op.get_context().autocommit_block():"

TASTE = frozenset(
    {"ban-char-field", "require-enum-value-ordering", "require-lock-timeout", "require-statement-timeout",
     "require-table-schema", "require-timeout-settings", "unused-ignore"}
)
"""squawk's rules that say nothing about safety here; so does everything that begins with `prefer-`."""
INSTEAD = {
    "adding-field-with-default": "expand: add it without a default, or with a constant one; backfill: fill it",
    "adding-foreign-key-constraint": "postgresql_not_valid=True, and VALIDATE CONSTRAINT in a later revision",
    "adding-not-nullable-field": "backfill; contract: CHECK (…) NOT VALID; contract: VALIDATE CONSTRAINT, SET NOT NULL",
    "adding-required-field": "give it a constant server_default, or make it NOT NULL later, in a contract",
    "adding-serial-primary-key-field": "build a unique index concurrently; ADD CONSTRAINT … PRIMARY KEY USING INDEX",
    "ban-concurrent-index-creation-in-transaction": _OUTSIDE,
    "changing-column-type": f"{_COPY}; a longer string or number is accepted when alter_column states existing_type",
    "constraint-missing-not-valid": "NOT VALID first, and VALIDATE CONSTRAINT in a later revision",
    "disallowed-unique-constraint": "build a unique index concurrently; ADD CONSTRAINT … UNIQUE USING INDEX",
    "renaming-column": _COPY,
    "renaming-table": _COPY,
    "require-concurrent-index-creation": f"{_OUTSIDE} op.create_index(…, postgresql_concurrently=True)",
    "require-concurrent-index-deletion": f"{_OUTSIDE} op.drop_index(…, postgresql_concurrently=True)",
}
"""What to write instead, where squawk says less than this project can."""
_TAKES_AWAY = ("ban-drop-", "ban-revoke", "ban-set-schema", "renaming-object")
_NEVER = ("ban-drop-database",)
_NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))*)'
_CREATES = re.compile(rf"CREATE (?:TEMP(?:ORARY)? |UNLOGGED )?TABLE (?!IF NOT EXISTS\b){_NAME}", re.I)
_PERHAPS = re.compile(rf"(CREATE\s+(?:TEMP(?:ORARY)?\s+|UNLOGGED\s+)?TABLE\s+IF\s+NOT\s+EXISTS\s+){_NAME}", re.I)
_DROPS = re.compile(rf"DROP TABLE (?:IF EXISTS )?{_NAME}", re.I)
_RENAMES = re.compile(rf"ALTER TABLE (?:IF EXISTS )?{_NAME} RENAME TO {_NAME}", re.I)
_TOUCHES = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME}",
        rf"CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?.*?\bON (?:ONLY )?{_NAME}",
        rf"DROP TABLE (?:IF EXISTS )?{_NAME}",
        rf"(?:UPDATE|DELETE FROM|TRUNCATE(?: TABLE)?|LOCK(?: TABLE)?) (?:ONLY )?{_NAME}",
    )
)
_CONCURRENT_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?{_NAME} ON", re.I)
_CONTROL = re.compile(r"(?:BEGIN|COMMIT|SET)\b", re.I)
_DDL = re.compile(r"(?:CREATE|ALTER|DROP|COMMENT|REINDEX|GRANT|REVOKE)\b", re.I)
_BY_ITSELF = re.compile(r"(?:CREATE|DROP|REINDEX)\b.*\bCONCURRENTLY\b|VALIDATE CONSTRAINT", re.I)
"""Schema changes that take long, block nobody and can be repeated: as well placed in a backfill as data."""
_WRITES = re.compile(r"(?:UPDATE|DELETE FROM|MERGE INTO)\b|WITH\b.*\b(?:UPDATE|DELETE FROM|MERGE INTO) ", re.I)
_BOUNDED = re.compile(
    r"\bLIMIT (?!ALL\b|NULL\b)|\bBETWEEN\b.*\bAND\b|([\w.$\"]+) ?>=? ?[^ <>]+ AND \1 ?<(?!>)|"
    r"([\w.$\"]+) ?<=? ?[^ <>]+ AND \2 ?>",
    re.I,
)
"""As many rows as it says, or those between two keys. Any other condition may be true of all."""
_BLOCKS = re.compile(
    r"(?:LOCK\b|TRUNCATE\b|CLUSTER\b|VACUUM (?:\([^)]*)?FULL\b|REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)"
    r"|ALTER (?:TABLE|INDEX|MATERIALIZED VIEW)\b.* SET (?:TABLESPACE|LOGGED|UNLOGGED)\b)",
    re.I,
)
_OUTSIDE_ONLY = re.compile(r"(?:DROP INDEX CONCURRENTLY|REINDEX\b.*\bCONCURRENTLY|VACUUM)\b", re.I)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a statement."""

    rule: str
    why: str
    instead: str


def counts(rule: str, phase: Phase | None, statement: Statement, new: bool) -> bool:
    """Whether what squawk says about a statement is a finding.

    Args:
        rule: squawk's name.
        phase: Declared by the revision; none is judged like an expand.
        statement: What it is about.
        new: Whether the statement's table was created by the revision, so that nobody uses it yet.
    """
    if rule in TASTE or rule.startswith("prefer-"):
        return False
    if rule in _NEVER or rule == "syntax-error" or "transaction" in rule:
        return True
    if new or (rule == "changing-column-type" and statement.widens):
        return False
    return not (phase is Phase.CONTRACT and rule.startswith(_TAKES_AWAY))


def instead(rule: str, help_: str | None) -> str:
    """What to write instead of what one of squawk's rules found."""
    if rule.startswith(_TAKES_AWAY) and rule not in _NEVER:
        return _CONTRACT
    return INSTEAD.get(rule) or help_ or f"see https://squawkhq.com/docs/{rule}"


def judge(statement: Statement, phase: Phase | None, new: bool) -> Generator[Judgement]:
    """Everything that squawk has no rule for, about one statement."""
    shape = statement.shape
    if re.match(r"DO\b", shape, re.I):
        yield Judgement(OPAQUE, "a DO block is a program: what it does shows only when it runs", _ACKNOWLEDGE)
    if statement.in_transaction and _OUTSIDE_ONLY.match(shape):
        yield Judgement("concurrently-in-transaction", "Postgres refuses it in a transaction", _OUTSIDE)
    if phase is Phase.BACKFILL:
        yield from _in_backfill(shape)
    elif not new and _WRITES.match(shape):
        why = "the rows, and everything that the revision locked, stay locked until the last one is written"
        yield Judgement("data-in-schema-revision", why, _BACKFILL)
    if not new and _BLOCKS.match(shape):
        why = "no request reads or writes the table meanwhile"
        yield Judgement("blocking-statement", why, "do without it, or do it in an announced pause, and acknowledge it")
    if phase is not Phase.CONTRACT and not new and re.search(r"\bSET NOT NULL\b", shape, re.I):
        why = "images before it may still leave the column empty"
        yield Judgement("adding-not-nullable-field", why, INSTEAD["adding-not-nullable-field"])


def stopped(why: str) -> Judgement:
    """A revision that could not be rendered to its end."""
    return Judgement(OPAQUE, f"{why}; what it would send from here on is not known", _ACKNOWLEDGE)


def not_repeatable(statements: Sequence[Statement]) -> Generator[tuple[Statement, Judgement]]:
    """What the next run stumbles over when this one ends half-way."""
    kept = [each for each in statements if not _CONTROL.match(each.shape)]
    alone = [number for number, each in enumerate(kept) if not each.in_transaction]
    first = next((each for each in kept[: alone[-1] if alone else 0] if each.in_transaction), None)
    if first:
        why = "autocommit_block commits it, but not that the revision was applied: the next run meets it again"
        yield first, Judgement("half-committed", why, "give what runs in autocommit_block a revision of its own")
    dropped: set[str] = set()
    for each in kept:
        drop = re.match(rf"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}", each.shape, re.I)
        if drop:
            dropped.add(_plain(drop[1]))
        made = _CONCURRENT_INDEX.match(each.shape)
        if made and _plain(made[1]) not in dropped:
            why = "ended half-way it leaves an invalid index, which the next run stumbles over or takes for a good one"
            fix = "before it: op.drop_index(…, if_exists=True, postgresql_concurrently=True)"
            yield each, Judgement("concurrent-index-not-repeatable", why, fix)


def new_tables(statements: Iterable[Statement]) -> Generator[frozenset[str]]:
    """For each statement, the tables that the revision has created before it.

    `IF NOT EXISTS` creates nothing for certain, and a name that is given up may be taken by a table in use.
    """
    new: frozenset[str] = frozenset()
    for each in statements:
        yield new
        created, gone = _CREATES.match(each.shape), _DROPS.match(each.shape) or _RENAMES.match(each.shape)
        new = new | {_plain(created[1])} if created else new - {_plain(gone[1])} if gone else new


def for_squawk(sql: str) -> str:
    """With `IF NOT EXISTS`, of a table of another name: squawk concludes that nobody uses one that is created."""
    return _PERHAPS.sub(r"\1perhaps_created", sql)


def table(statement: Statement) -> str | None:
    """The one table that a statement is about."""
    found = next((match for pattern in _TOUCHES if (match := pattern.match(statement.shape))), None)
    if found is None or statement.shape[found.end() :].lstrip().startswith(","):
        return None
    return _plain(found[1])


def _in_backfill(shape: str) -> Generator[Judgement]:
    if _DDL.match(shape) and not _BY_ITSELF.search(shape):
        why = "a backfill commits each statement by itself, so a schema may be left half changed"
        yield Judgement("schema-in-backfill", why, "move it to an expand before, or a contract after")
    elif _WRITES.match(shape) and not _BOUNDED.search(shape):
        why = "how many rows it writes is not bounded, and all of them stay locked until the last one is written"
        yield Judgement("unbounded-write", why, "fastapi_platform_runtime.backfill.in_batches")


def _plain(name: str) -> str:
    return ".".join(part[1:-1] if part.startswith('"') else part.lower() for part in name.split("."))
