"""`python -m fastapi_platform_runtime.lint [REVISION …]`: refuses unsafe schema changes before they meet a database.

Owns the command, the call of squawk, and what a revision may acknowledge. A revision is judged as SQL (`rendering`), by
squawk and by its phase (`phase_rules`). It may accept a finding, with a reason, at the top of its file:

    lint_ignore = {"changing-column-type": "the table has 40 rows"}

Deliberately needs no database and no settings, so that it runs where a change is reviewed. What only a database knows,
it says it cannot judge.

Exit status: 0 nothing found; 1 findings; 2 wrong usage, or squawk is not installed.
Source: https://squawkhq.com/docs/cli
"""

import argparse
import json
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic.config import Config

from . import phase_rules, revisions
from .command import find_tool
from .outcome import Outcome, Stop
from .phase_rules import Judgement
from .rendering import Rendering, Statement, render
from .revisions import History, Misdeclared, Revision

PROGRAM = "python -m fastapi_platform_runtime.lint"
DESCRIPTION = "Judge Alembic's revisions without a database: what locks, rewrites, or breaks the release that serves."
GET_SQUAWK = "squawk is not installed: pip install squawk-cli"
DECLARATION, UNUSED = "declaration", "unused-ignore"
LONGEST_EXCERPT = 90
"""Characters of a statement that a line shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a revision."""

    path: str
    line: int | None
    revision: str | None
    rule: str
    what: str
    """The statement, without the text of its literals."""
    why: str
    instead: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.rule}: {self.what}: {self.why}. Instead: {self.instead}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module for the exit status."""
    options = parser().parse_args(argv)
    squawk = find_tool("squawk")
    if squawk is None:
        parser().error(GET_SQUAWK)
    if not options.config.is_file():
        parser().error(f"there is no {options.config} here; name Alembic's configuration with --config")
    try:
        history = revisions.read(Config(str(options.config)))
        chosen = choose(history, options.revisions)
        found = [each for revision in chosen for each in judge(history, revision, squawk, options.pg_version)]
    except Misdeclared as exc:
        chosen, found = (), [Finding(_shown(exc.path), None, None, DECLARATION, str(exc), "the runner refuses it",
                                     "see `migrate` in the README of fastapi-platform-runtime")]
    except Stop as stop:
        parser().error(str(stop))
    _print(found, len(chosen), options.format)
    return 1 if found else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("revisions", nargs="*", metavar="REVISION",
        help="revisions to judge, or FROM:TO for those after FROM up to TO, either left out (all)")
    add("--config", type=Path, default=Path("alembic.ini"), metavar="FILE",
        help="Alembic's configuration (%(default)s)")
    add("--pg-version", default="14", metavar="VERSION", help="oldest Postgres that they meet (%(default)s)")
    add("--format", choices=("text", "json"), default="text", help="how findings are printed (%(default)s)")
    return made


def choose(history: History, named: Sequence[str]) -> tuple[Revision, ...]:
    """The revisions that a command line names, oldest first.

    Raises:
        Stop: One does not exist.
    """
    chosen: set[str] = set()
    for each in named or (":",):
        first, is_range, last = each.partition(":")
        unknown = [name for name in (first, last) if name and not history.knows(name)]
        if unknown or not each:
            raise Stop(Outcome.USAGE, f"there is no revision {(unknown or [each])[0]!r}")
        if is_range:
            until = history.upto(last or history.head)
            chosen |= until - (history.upto(first) if first else frozenset())
        else:
            chosen.add(first)
    return tuple(each for each in history.revisions if each.id in chosen)


def judge(history: History, revision: Revision, squawk: str, pg_version: str) -> list[Finding]:
    """Everything that is wrong with one revision, in the order of its lines."""
    rendering = render(history, revision)
    judged: list[tuple[Statement | None, Judgement]] = [*_judgements(rendering, revision, squawk, pg_version)]
    if revision.phase is None and revision.parent is not None:
        why = "older images are not known to work on its schema, so none can be rolled back to"
        judged.append((None, Judgement("phase-not-declared", why, "state phase: expand, backfill or contract")))
    if rendering.stopped:
        judged.append((None, phase_rules.stopped(rendering.stopped)))
    path = _shown(revision.script.path)
    reasons, wrong = _ignores(revision)
    found = [_finding(path, revision, statement, each, rendering) for statement, each in judged]
    unused = sorted(set(reasons) - {each.rule for each in found})
    found = [each for each in found if each.rule not in reasons]
    for rule in unused:
        said = Judgement(UNUSED, "nothing of that name was found here", f"take {rule!r} out of lint_ignore")
        found.append(_finding(path, revision, None, said, rendering, f"lint_ignore {rule!r}"))
    for what in wrong:
        said = Judgement(DECLARATION, "an exception needs a reason", 'lint_ignore = {"rule": "reason"}')
        found.append(_finding(path, revision, None, said, rendering, what))
    return sorted(found, key=lambda each: each.line or 0)


def _judgements(
    rendering: Rendering, revision: Revision, squawk: str, pg_version: str
) -> list[tuple[Statement, Judgement]]:
    statements, phase = rendering.statements, revision.phase
    new = [phase_rules.table(each) in tables
           for each, tables in zip(statements, phase_rules.new_tables(statements), strict=True)]
    found: dict[tuple[int, str], tuple[Statement, Judgement]] = {}
    for number, each in enumerate(statements):
        for said in phase_rules.judge(each, phase, new[number]):
            found.setdefault((number, said.rule), (each, said))
    for number, rule, why, help_ in _squawk(statements, squawk, pg_version):
        each = statements[number]
        if phase_rules.counts(rule, phase, each, new[number]):
            said = Judgement(rule, why.rstrip("."), phase_rules.instead(rule, help_))
            found.setdefault((number, rule), (each, said))
    return [*found.values(), *phase_rules.not_repeatable(statements)]


def _squawk(
    statements: Sequence[Statement], squawk: str, pg_version: str
) -> Iterable[tuple[int, str, str, str | None]]:
    """Ask squawk: the number of a statement, a rule, why, and what to do.

    It is not told to assume a transaction: the text says itself where one begins and ends. A configuration of its own
    would be an exception without a reason, so it gets an empty one.
    """
    starts: list[int] = []
    text = ""
    for each in statements:
        starts.append(text.count("\n"))
        text += f"{phase_rules.for_squawk(each.sql)};\n"
    with TemporaryDirectory(prefix="lint-") as folder:
        config = Path(folder) / "squawk.toml"
        config.touch()
        words = (squawk, "--config", config, "--pg-version", pg_version, "--reporter", "json", "--stdin-filepath", "it")
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)
    try:
        said: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        raise Stop(Outcome.USAGE, f"squawk does not work: {' '.join(done.stderr.split())[:300]}") from None
    for each in said:
        yield bisect_right(starts, each["line"]) - 1, each["rule_name"], each["message"], each["help"]


def _ignores(revision: Revision) -> tuple[dict[str, str], list[str]]:
    """What a revision acknowledges, by rule, and what is wrong with how it does."""
    stated: Any = vars(revision.script.module).get("lint_ignore", {})
    if not isinstance(stated, dict):
        return {}, ["lint_ignore is no dictionary"]
    items: list[tuple[Any, Any]] = list(stated.items())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    good = {rule: why for rule, why in items if isinstance(why, str) and why.strip()}
    return good, [f"lint_ignore {rule!r} gives no reason" for rule, _ in items if rule not in good]


def _finding(
    path: str, revision: Revision, statement: Statement | None, said: Judgement, rendering: Rendering, what: str = ""
) -> Finding:
    line = statement.line if statement else (rendering.stopped_line if said.rule == phase_rules.OPAQUE else None)
    what = what or (statement.shape[:LONGEST_EXCERPT] if statement else f"revision {revision.id}")
    return Finding(path, line, revision.id, said.rule, what, said.why, said.instead)


def _shown(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print(found: Sequence[Finding], revisions_judged: int, format_: str) -> None:
    if format_ == "json":
        lines = [json.dumps({"revisions": revisions_judged, "findings": [asdict(each) for each in found]}, indent=2)]
    else:
        lines = [*map(str, found), f"{_count(len(found), 'finding')} in {_count(revisions_judged, 'revision')}"]
    print("\n".join(lines))  # noqa: T201 the findings are what this command is for


if __name__ == "__main__":
    raise SystemExit(main())
