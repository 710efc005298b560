"""What the migration runner says without a database: usage, declarations, and addresses that lead nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastapi_platform_runtime import migrate, revisions
from fastapi_platform_runtime.outcome import LONGEST_MESSAGE, Outcome, Report, secrets_of
from fastapi_platform_runtime.revisions import History, Phase, Revision
from tests.runtime.postgres import image

EXPAND = 'phase = "expand"|pass'
AWAY = "postgresql://it:hunter2@127.0.0.1:1/it"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run the command in a folder of revisions; gives its status and its last line."""

    def run(*words: str, address: str = AWAY) -> tuple[int, dict[str, Any]]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", address)
        status = migrate.main(words)
        shown = capsys.readouterr()
        assert "hunter2" not in shown.out + shown.err
        return status, json.loads(shown.out.splitlines()[-1])

    return run


def test_skip_looks_at_nothing(run: Any):
    status, last = run("skip", address="")
    assert (status, last["outcome"]) == (0, "done")
    assert "skipped" in last["message"]


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ('phase = "shrink"|pass', "revision 0002: phase is 'shrink', want expand, backfill, contract"),
        ('phase = "contract"|pass', "revision 0002: a contract, and only a contract, states oldest_compatible"),
        ('phase = "expand"; oldest_compatible = "0001"|pass', "revision 0002: a contract, and only a contract"),
        ('phase = "contract"; oldest_compatible = "0003"|pass', "revision 0002: oldest_compatible is 0003"),
        ('phase = "contract"; oldest_compatible = "0002"|pass', "oldest_compatible is 0002, want a revision before"),
        ('down_revision = None|pass', "does not follow the one before it: want one line of revisions"),
        ('down_revision = ("0001", "0009")|pass', "cannot read the revisions"),
        ("this is no Python|pass", "cannot read the revisions: SyntaxError"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_before_the_database_is_asked(
    revision: str, said: str, run: Any, tmp_path: Path
):
    image(tmp_path, EXPAND, revision)
    status, last = run()
    assert (status, last["outcome"]) == (Outcome.USAGE, "usage")
    assert said in last["message"]


def test_a_folder_without_configuration_is_named(run: Any):
    assert "there is no alembic.ini here" in run()[1]["message"]


@pytest.mark.parametrize(
    "address", ["", "hunter2", "mysql://it:hunter2@db/it", "postgresql://it@db:hunter2/it", "postgresql://[hunter2"]
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(address: str, run: Any, tmp_path: Path):
    image(tmp_path, EXPAND)
    status, last = run("--connect-timeout", "0", address=address)
    assert (status, last["outcome"]) == (Outcome.USAGE, "usage")
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in last["message"]


def test_a_database_that_is_away_is_one_line(run: Any, tmp_path: Path):
    image(tmp_path, EXPAND)
    status, last = run("--connect-timeout", "0")
    said = "cannot reach the database: nothing listens at its host and port (ConnectionRefusedError)"
    assert (status, last["message"]) == (Outcome.UNREACHABLE, said)


def test_a_host_that_is_not_known_is_called_that(run: Any, tmp_path: Path):
    image(tmp_path, EXPAND)
    status, last = run("--connect-timeout", "0", address="postgresql://it:hunter2@nowhere.invalid/it")
    assert status == Outcome.UNREACHABLE
    assert "its host name is not known" in last["message"] or "no answer" in last["message"]


def test_help_says_what_is_needed_and_how_it_ends(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        migrate.main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "DATABASE_URL says where: want postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in shown
    assert all(f"  {int(each):<4} {each.name.lower()} " in shown for each in Outcome)


def test_what_starts_the_runner_may_say_when_it_gives_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert migrate.parser().parse_args([]).deadline == 600
    monkeypatch.setenv("MIGRATION_DEADLINE_SECONDS", "240")
    assert migrate.parser().parse_args([]).deadline == 240
    assert migrate.parser().parse_args(["--deadline", "7"]).deadline == 7
    monkeypatch.setenv("MIGRATION_DEADLINE_SECONDS", "soon")
    with pytest.raises(SystemExit):
        migrate.main([])
    assert "want seconds from 0 to 86400, got soon" in capsys.readouterr().err


def test_a_secret_that_is_too_short_to_hide_is_not_shown_by_hiding_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    Report(secrets_of("postgresql://it:b@db/it"), tmp_path / "none").end(Outcome.FAILED, "the database failed")
    assert json.loads(capsys.readouterr().out)["message"] == "the database failed"


@pytest.mark.parametrize("words", [("up",), ("run", "--deadline", "soon"), ("--lock-timeout", "-1"), ("--dead", "1")])
def test_bad_usage_is_status_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        migrate.main(words)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()[-1]) < 200


def test_a_message_is_one_short_line_without_the_password(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    report = Report(secrets_of("postgresql://it:p%40ss-word@db/it"), tmp_path / "none")
    report.end(Outcome.FAILED, "p@ss-word p%40ss-word\nnext line " + "\u00fc" * 5000)
    (line,) = capsys.readouterr().out.splitlines()
    message = json.loads(line)["message"]
    assert message.startswith("[secret] [secret] next line")
    assert len(message.encode()) <= LONGEST_MESSAGE
    assert len(line.encode()) < 2048


def revision(number: int, phase: Phase | None, oldest: str | None = None) -> Revision:
    parent = f"{number - 1:04}" if number > 1 else None
    script: Any = None
    return Revision(f"{number:04}", parent, "", phase, oldest, script)


def history(*last: Revision) -> History:
    """Revisions of which the last ones are given, and those before them are expands."""
    scripts: Any = None
    return History((*(revision(number, Phase.EXPAND) for number in range(1, int(last[0].id))), *last), scripts)


@pytest.mark.parametrize(
    ("made", "declared", "oldest"),
    [
        (revision(1, Phase.EXPAND), {}, "0001"),
        (revision(3, Phase.EXPAND), {}, "0002"),
        (revision(3, Phase.EXPAND), {"0002": "0001"}, "0001"),
        (revision(3, Phase.BACKFILL), {"0002": "0001"}, "0001"),
        (revision(3, Phase.CONTRACT, "0002"), {"0002": "0001"}, "0002"),
        (revision(5, Phase.CONTRACT, "0001"), {"0003": "0002", "0004": "0002"}, "0002"),
        (revision(5, Phase.CONTRACT, "0001"), {}, "0004"),
        (revision(5, Phase.CONTRACT, "0001"), {"0004": "before-a-squash"}, "0001"),
        (revision(3, Phase.EXPAND), {"0002": "before-a-squash"}, "before-a-squash"),
        (revision(3, None), {"0002": "0001"}, "0003"),
    ],
)
def test_what_a_revision_declares_follows_from_its_phase(made: Revision, declared: dict[str, str], oldest: str):
    assert history(made).oldest_compatible(made, declared) == oldest


def test_a_contract_waits_for_the_release_that_no_longer_needs_what_it_takes():
    pending = (revision(2, Phase.EXPAND), revision(3, Phase.CONTRACT, "0002"))
    assert revisions.too_early(pending, frozenset({"0001"})) == pending[1]
    assert revisions.too_early(pending[1:], frozenset({"0001", "0002"})) is None
    assert revisions.too_early(pending, frozenset()) is None
