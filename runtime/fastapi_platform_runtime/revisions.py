"""What a revision declares, and which images may run on which schema.

Owns the phases of a migration and the compatibility declaration, as pure functions over Alembic's scripts. A revision
states its phase at the top of its file; a contract also states the oldest revision whose images may run after it:

    revision = "0003"
    down_revision = "0002"
    phase = "contract"
    oldest_compatible = "0002"

expand    adds; images of the revision before it go on working, and so do all that already could.
backfill  moves data, each statement committed by itself, so it can be long, and must be repeatable.
contract  takes away what images before `oldest_compatible` need; what an earlier one took away stays away.
A revision without a phase declares nothing: it runs, and no older image is said to work on its schema.

Deliberately knows one line of revisions only, no branches: several heads have no single answer to "which is older".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util.exc import CommandError

from .outcome import Outcome, Stop


class Misdeclared(Stop):
    """A revision declares what cannot be meant."""

    def __init__(self, script: Script, message: str) -> None:
        super().__init__(Outcome.USAGE, f"revision {script.revision}: {message}")
        self.path = script.path


class Phase(StrEnum):
    """What a revision does to the images that already run."""

    EXPAND = "expand"
    BACKFILL = "backfill"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision and what it declares."""

    id: str
    parent: str | None
    title: str
    phase: Phase | None
    oldest_compatible: str | None
    """Stated by a contract, and by nothing else."""
    script: Script


@dataclass(frozen=True, slots=True)
class History:
    """The revisions that an image contains, oldest first."""

    revisions: tuple[Revision, ...]
    scripts: ScriptDirectory

    @property
    def head(self) -> str | None:
        """The newest revision; none when there are no revisions yet."""
        return self.revisions[-1].id if self.revisions else None

    def knows(self, revision: str) -> bool:
        """Whether the image contains a revision."""
        return any(each.id == revision for each in self.revisions)

    def pending(self, current: str | None) -> tuple[Revision, ...]:
        """Revisions after the database's current one; it must be known."""
        ids = [each.id for each in self.revisions]
        return self.revisions[0 if current is None else ids.index(current) + 1 :]

    def upto(self, revision: str | None) -> frozenset[str]:
        """A revision and all before it."""
        pending = {each.id for each in self.pending(revision)}
        return frozenset(each.id for each in self.revisions if each.id not in pending)

    def oldest_compatible(self, revision: Revision, declared: Mapping[str, str]) -> str:
        """The oldest revision whose images may run on the schema after a revision; never older than before it.

        Args:
            revision: The one that is being applied.
            declared: What the database already declares, by revision.
        """
        if revision.phase is None or revision.parent is None:
            return revision.id
        before, own = declared.get(revision.parent, revision.parent), revision.oldest_compatible
        # What the image does not contain is older than all that it does: an earlier line, squashed since.
        return before if own is None or (self.knows(before) and before not in self.upto(own)) else own


def read(config: Config) -> History:
    """Read and check every revision of an image.

    Args:
        config: Alembic's; `env.py` is not run.

    Raises:
        Stop: A file cannot be read, there is more than one line of revisions, or a declaration is wrong.
    """
    try:
        scripts = ScriptDirectory.from_config(config)
        found = [_declared(each) for each in scripts.walk_revisions()][::-1]
    except Stop:
        raise
    except CommandError as exc:
        raise Stop(Outcome.USAGE, f"cannot read the revisions: {exc}") from exc
    except Exception as exc:
        raise Stop(Outcome.USAGE, f"cannot read the revisions: {type(exc).__name__}: {exc}") from exc
    for before, after in zip([None, *found], found, strict=False):
        if after.parent != (before.id if before else None):
            wanted = "does not follow the one before it: want one line of revisions, no branches"
            raise Stop(Outcome.USAGE, f"revision {after.id} {wanted}")
    history = History(tuple(found), scripts)
    for each in found:
        if each.oldest_compatible is not None and each.oldest_compatible not in history.upto(each.id) - {each.id}:
            wanted = f"oldest_compatible is {each.oldest_compatible}, want a revision before this one"
            raise Misdeclared(each.script, wanted)
    return history


def too_early(pending: tuple[Revision, ...], serving: frozenset[str]) -> Revision | None:
    """The first contract that would break the images which serve while it runs.

    Args:
        pending: What is about to be applied.
        serving: The database's current revision and all before it; empty for a new database, which serves nobody.
    """
    if not serving:
        return None
    contracts = (each for each in pending if each.oldest_compatible is not None)
    return next((each for each in contracts if each.oldest_compatible not in serving), None)


def _declared(script: Script) -> Revision:
    stated: dict[str, object] = vars(script.module)
    try:
        phase = Phase(str(stated["phase"])) if "phase" in stated else None
    except ValueError as exc:
        wanted = ", ".join(Phase)
        raise Misdeclared(script, f"phase is {stated['phase']!r}, want {wanted}") from exc
    oldest = stated.get("oldest_compatible")
    if (phase is Phase.CONTRACT) != isinstance(oldest, str):
        raise Misdeclared(script, "a contract, and only a contract, states oldest_compatible, a revision")
    parents = script.down_revision
    if parents is not None and not isinstance(parents, str):
        raise Stop(Outcome.USAGE, f"revision {script.revision} joins several: want one line of revisions, no branches")
    return Revision(
        id=script.revision,
        parent=parents,
        title=(script.doc or "").rstrip("."),
        phase=phase,
        oldest_compatible=oldest if isinstance(oldest, str) else None,
        script=script,
    )
