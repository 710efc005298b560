"""The documentation says what is true: its programs run, its figures are the command's, its links lead somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from fastapi_platform_policy.catalog import RULES
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.rule import Thresholds, Verdict, judge
from fastapi_platform_policy.sources import from_states
from fastapi_platform_preview import report, text_format
from fastapi_platform_preview.launcher import RecordedStack
from fastapi_platform_preview.recorder import Deployment, record
from tests.conftest import DIGEST, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_program_of_the_guide_runs_and_is_clean():
    """A platform team's first program: no stack file of ours, no settings, and no finding."""
    (source,) = blocks(ROOT / "docs" / "guides" / "compose.md", "python")
    config = {"guide:image": f"registry.example.com/shop@{DIGEST}"}

    def program() -> None:
        exec(compile(source, "compose.md", "exec"), {})

    recording = record(program, Deployment(project="guide", stack="prod", config=config))
    found = Program(from_states(recording.states))
    assert len([line for line in source.splitlines() if line.strip()]) <= 17
    assert recording.outputs == {"address": "http://shop.shop.svc:80"}
    assert found.of_kind("Job")[0].urn in found.of_kind("Deployment")[0].dependencies
    assert judge(found, RULES, Thresholds()).having(Verdict.VIOLATED) == ()


def test_the_app_of_the_guide_keeps_the_contract(tmp_path: Path):
    """Whoever copies the first block of the ten steps has an app that the platform can run."""
    source, *_ = blocks(ROOT / "docs" / "guides" / "bring-your-app.md", "python")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(source)
    (tmp_path / "production.env").write_text("DATABASE_URL=postgresql://orders:x@127.0.0.1:1/orders\n")
    words = ["fastapi_platform_runtime.check", "app.main:create_app", "--environment-file", "production.env"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines()[-1].startswith("9 ok, 0 finding"), done.stdout + done.stderr
    assert done.returncode == 0


def test_the_readme_shows_what_the_command_prints(recorded_stacks: dict[str, Program]):
    """Every line of the excerpt is a piece of a line of the real output, in the same order."""
    (excerpt,) = blocks(ROOT / "README.md", "text")
    local = recorded_stacks["local"]
    recorded = RecordedStack("fastapi-platform", "local", local.records, {}, (), 2.0)
    console = Console(width=500, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(text_format.stack(report.build(recorded, local, judge(local, RULES, Thresholds())), first=True))
    position = 0
    for line in excerpt.splitlines():
        position = captured.get().find(line, position)
        assert position >= 0, line


def test_the_readme_counts_the_rules():
    assert f"findings of {len(RULES)} rules" in (ROOT / "README.md").read_text()


def test_every_target_that_a_page_names_exists():
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z0-9-]+)", page.read_text())) <= known, page


def links(page: Path) -> Iterator[str]:
    text = page.read_text()
    yield from re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    yield from re.findall(r"^\[[^\]]+\]: (\S+)", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path):
    for link in links(page):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_no_tracked_file_names_a_machine_or_is_large():
    """Paths of somebody's machine and files over 1 MB do not belong into a repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    machine = re.compile("/" + r"(?:home|root|Users)/[a-z]")
    for name in listed.stdout.splitlines():
        file = ROOT / name
        assert file.stat().st_size < 1_000_000, name
        assert not machine.search(file.read_text(errors="ignore")), name
