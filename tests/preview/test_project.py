"""Projects, read as the engine reads them."""

import sys
from pathlib import Path

import pytest

from fastapi_platform_preview import project
from fastapi_platform_preview.errors import UsageError
from tests.preview.projects import SHOP, write


def test_the_project_is_found_from_any_folder_in_it(tmp_path: Path):
    write(tmp_path, SHOP)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert project.find(deep).root == tmp_path


@pytest.mark.parametrize(
    ("main", "directory", "entry"),
    [("", "", "."), ("infra/", "infra", "."), ("run.py", "", "run.py"), ("infra/run.py", "infra", "run.py")],
)
def test_main_decides_where_and_what_is_run(tmp_path: Path, main: str, directory: str, entry: str):
    """Relative paths in a program are relative to this folder; another one reads other files."""
    (tmp_path / "infra").mkdir()
    (tmp_path / "run.py").touch()
    (tmp_path / "infra" / "run.py").touch()
    (tmp_path / "infra" / "__main__.py").touch()
    found = project.find(write(tmp_path, f"{SHOP}main: {main}\n"))
    assert (found.working_directory, found.main) == ((tmp_path / directory).resolve(), entry)


def test_the_environment_of_a_uv_project_lies_beside_the_nearest_lock(tmp_path: Path):
    inner = tmp_path / "service"
    inner.mkdir()
    (tmp_path / "uv.lock").touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    found = project.find(write(inner, "name: shop\nruntime: {name: python, options: {toolchain: uv}}\n"))
    assert found.interpreter == python


def test_the_environment_of_a_pip_project_is_the_named_one(tmp_path: Path):
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    found = project.find(write(tmp_path, "name: shop\nruntime: {name: python, options: {virtualenv: env}}\n"))
    assert found.interpreter == python


def test_the_environment_of_a_poetry_project_is_the_one_inside_it(tmp_path: Path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    inner = tmp_path / "deploy"
    inner.mkdir()
    (tmp_path / "pyproject.toml").touch()
    found = project.find(write(inner, "name: shop\nruntime: {name: python, options: {toolchain: poetry}}\n"))
    assert found.interpreter == python


@pytest.mark.parametrize("options", ["toolchain: pip", ""])
def test_without_an_environment_a_pip_project_runs_in_this_python(tmp_path: Path, options: str):
    found = project.find(write(tmp_path, f"name: shop\nruntime: {{name: python, options: {{{options}}}}}\n"))
    assert found.interpreter == Path(sys.executable)


def test_without_an_environment_this_python_is_used(tmp_path: Path):
    assert project.find(write(tmp_path, SHOP)).interpreter == Path(sys.executable)


def test_stack_files_may_lie_in_a_folder_of_their_own(tmp_path: Path):
    (tmp_path / "stacks").mkdir()
    write(tmp_path, f"{SHOP}stackConfigDir: stacks\n")
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text("config: {}\n")
    found = project.find(tmp_path)
    assert found.stacks() == ["prod"]
    assert found.existing_stack_file("prod").parent == tmp_path / "stacks"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"Pulumi\.yaml: got an empty file, want the project's name and runtime"),
        ("runtime: python\n", r"Pulumi\.yaml\.name: got nothing, .* Add it\."),
        ("name: 5\nruntime: python\n", r"name: got a number, want text; .* Put it into quotes: name: '5'\."),
        ("name: [a]\nruntime: python\n", r"name: got a list, want text"),
        ("name: shop\n", r"Pulumi\.yaml\.runtime: got nothing, want python; .* Add `runtime: python`"),
        ("name: shop\nruntime: nodejs\n", r"Pulumi\.yaml\.runtime: got nodejs, want python"),
        ("name: shop\nruntime: true\n", r"Pulumi\.yaml\.runtime: got true, want python"),
        ("name: shop\nruntime: {name: python, options: [a]}\n", r"runtime\.options: got a list, want a mapping"),
        ("name: shop\nruntime: {name: python, options: {toolchain: [a]}}\n", r"toolchain: got a list, want text"),
        (f"{SHOP}main: [a]\n", r"Pulumi\.yaml\.main: got a list, want text"),
        (f"{SHOP}stackConfigDir: 5\n", r"stackConfigDir: got a number, want text"),
        (f"{SHOP}config: [a]\n", r"Pulumi\.yaml\.config: got a list, want a mapping"),
        (f"{SHOP}config: {{a: {{type: strng}}}}\n", r"config\.a\.type: got strng, .* Did you mean string\?"),
        (f"{SHOP}config: {{a: {{type: [string]}}}}\n", r"config\.a\.type: got a list, want one of"),
        (f"{SHOP}main: nowhere/\n", r"Pulumi\.yaml\.main: got nowhere/"),
        ("name: shop\nruntime: {name: python, options: {virtualenv: gone}}\n", r"got no environment at .*gone"),
        ("name: shop\nruntime: {name: python, options: {toolchain: poetry}}\n", r"toolchain: got poetry, and no envir"),
        ("name: shop\nruntime: {name: python, options: {toolchain: potry}}\n", r"got potry, .* Did you mean poetry\?"),
        ("- a\n", r"Pulumi\.yaml: got a list, want a mapping"),
        ("name: [\n", r"Pulumi\.yaml: got .*line"),
    ],
)
def test_a_project_that_cannot_be_run_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(UsageError, match=message):
        project.find(write(tmp_path, text))


@pytest.mark.parametrize("options", ["virtualenv: gone", "toolchain: poetry", "toolchain: potry"])
def test_a_project_file_is_called_by_its_name(tmp_path: Path, options: str):
    (tmp_path / "__main__.py").touch()
    (tmp_path / "Pulumi.yml").write_text(f"name: shop\nruntime: {{name: python, options: {{{options}}}}}\n")
    with pytest.raises(UsageError, match=r"^Pulumi\.yml\.runtime"):
        project.find(tmp_path)


@pytest.mark.parametrize("main", ["", "infra/"])
def test_a_project_without_a_program_is_refused(tmp_path: Path, main: str):
    """Python looks for `__main__` wherever its path leads, and would run another one: ours starts a server."""
    (tmp_path / "infra").mkdir()
    write(tmp_path, f"{SHOP}main: {main}\n")
    (tmp_path / "__main__.py").unlink()
    with pytest.raises(UsageError, match=r"Pulumi\.yaml\.main: got no __main__\.py in .*, want a folder with __main__"):
        project.find(tmp_path)


def test_copies_of_stack_files_and_folders_are_no_stacks(tmp_path: Path):
    write(tmp_path, SHOP)
    for name in ("Pulumi.dev.yaml.bak.yaml", "Pulumi.a b.yaml", "Pulumi.dev copy.yaml", "Pulumi.eu.west.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "Pulumi.folder.yaml").mkdir()
    found = project.find(tmp_path)
    assert found.stacks() == ["dev", "eu.west"]
    with pytest.raises(UsageError, match=r"Pulumi\.folder\.yaml: got a folder, want a file"):
        found.existing_stack_file("folder")


def test_outside_a_project_the_mistake_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"got no Pulumi\.yaml here or above"):
        project.find(tmp_path)
