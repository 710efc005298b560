"""The command line of the lint: its lines, its exceptions, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_platform_runtime import lint
from tests.runtime.postgres import image

FIRST = 'phase = "expand"|op.execute("CREATE TABLE orders (id bigint)")'
DROP = 'op.execute("ALTER TABLE orders DROP COLUMN sku")'
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Judge the revisions after the first; gives status and output."""

    def run(*revisions: str, words: tuple[str, ...] = ()) -> tuple[int, str]:
        monkeypatch.chdir(image(tmp_path, FIRST, *revisions))
        return lint.main(words), capsys.readouterr().out

    return run


def test_a_finding_is_one_line_that_says_where_what_why_and_what_instead(run: Run):
    status, shown = run(f'phase = "expand"|{DROP}')
    line, count = shown.splitlines()
    assert (status, count) == (1, "1 finding in 2 revisions")
    assert line == (
        "migrations/versions/0002.py:8: ban-drop-column: ALTER TABLE orders DROP COLUMN sku: Dropping a column may "
        'break existing clients. Instead: move it to a revision with phase = "contract", released when no image that '
        "needs it runs any more"
    )


def test_revisions_that_are_safe_are_counted_and_nothing_else(run: Run):
    assert run('phase = "expand"|pass') == (0, "0 findings in 2 revisions\n")


def test_the_text_of_a_literal_is_not_shown(run: Run):
    status, shown = run("""phase = "expand"|op.execute("UPDATE orders SET sku = 'hunter2', a = $x$hunter2$x$")""")
    assert (status, "UPDATE orders SET sku = '…', a = '…'" in shown, "hunter2" in shown) == (1, True, False)


def test_the_lines_of_a_statement_are_those_of_its_operation(run: Run):
    body = f'op.execute("""SELECT 1;\nSELECT 2;\n""")\n{DROP}\nimport time\nop.drop_table("orders")'
    found = json.loads(run(f'phase = "expand"|{body}', words=("--format", "json"))[1])["findings"]
    assert [(each["line"], each["rule"]) for each in found] == [(11, "ban-drop-column"), (13, "ban-drop-table")]


@pytest.mark.parametrize(
    ("stated", "rules"),
    [
        ('{"ban-drop-column": "never released"}', []),
        ('{"ban-drop-column": " "}', ["ban-drop-column", "declaration"]),
        ('{"ban-drop-column": 4}', ["ban-drop-column", "declaration"]),
        ('["ban-drop-column"]', ["ban-drop-column", "declaration"]),
        ('{"ban-drop-table": "never released"}', ["ban-drop-column", "unused-ignore"]),
        ('{"unused-ignore": "so there"}', ["ban-drop-column", "unused-ignore"]),
    ],
)
def test_an_exception_needs_a_rule_that_is_broken_and_a_reason(stated: str, rules: list[str], run: Run):
    status, shown = run(f'phase = "expand"; lint_ignore = {stated}|{DROP}', words=("--format", "json"))
    found: list[dict[str, Any]] = json.loads(shown)["findings"]
    assert (status, sorted(each["rule"] for each in found)) == (bool(rules), rules)


def test_a_configuration_of_squawk_makes_no_exception(run: Run, tmp_path: Path):
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-column"]\n')
    assert run(f'phase = "expand"|{DROP}')[0] == 1


@pytest.mark.parametrize(
    ("words", "judged"),
    [((), 3), (("0002",), 1), (("0001:",), 2), ((":0002",), 2), (("0001:0002",), 1), (("0001", "0002:0003"), 2)],
)
def test_revisions_are_chosen_as_for_alembic(words: tuple[str, ...], judged: int, run: Run):
    status, shown = run('phase = "expand"|pass', 'phase = "expand"|pass', words=words)
    assert (status, shown) == (0, f"0 findings in {judged} revision{'s' * (judged > 1)}\n")


@pytest.mark.parametrize("declarations", ['phase = "contract"', 'phase = "shrink"'])
def test_a_contract_that_does_not_say_what_it_is_compatible_with_is_a_finding(declarations: str, run: Run):
    status, shown = run(f"{declarations}|pass")
    assert (status, shown.startswith("migrations/versions/0002.py: declaration: revision 0002: ")) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "none.ini"), "there is no none.ini here"),
        (("0009",), "there is no revision '0009'"),
        (("0001:9",), "there is no revision '9'"),
        (("--pg-version", "new"), "squawk does not work: "),
        (("--format", "xml"), "invalid choice"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(
    words: tuple[str, ...], said: str, run: Run, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        run("|pass", words=words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_without_squawk_it_says_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(SystemExit) as ended:
        run("|pass")
    assert ended.value.code == 2
    assert "pip install squawk-cli" in capsys.readouterr().err


def test_the_example_is_safe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(Path(__file__).parents[2] / "app-example")
    assert (lint.main([]), capsys.readouterr().out.split(" ")[0]) == (0, "0")
