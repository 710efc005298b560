"""What the Dockerfile promises, read from it: for machines that cannot build it, and before anybody does."""

import json
import re
import tomllib
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.image.workflows import commands, steps, workflows

APP = ROOT / "app-example"


def instructions() -> list[tuple[str, str]]:
    """Instructions and their arguments, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (APP / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def of(kind: str) -> list[str]:
    return [rest for word, rest in instructions() if word == kind]


def arguments() -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in of("ARG"))}


def base() -> str:
    return arguments()["BASE_IMAGE"]


@pytest.mark.control("base-image-digest-pinned", "minimal-runtime-image")
def test_every_stage_begins_with_the_same_base_by_digest():
    stages = [stage.partition(" AS ")[0] for stage in of("FROM")]
    assert stages == ["${BASE_IMAGE}"] * 2
    assert re.fullmatch(r"docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}", base())


@pytest.mark.control("python-version-pinned")
def test_development_workflows_and_image_run_one_python():
    """The image's own interpreter is asked in test_container.py."""
    tag = re.search(r":(\d+\.\d+)-slim", base())
    assert tag is not None
    project: dict[str, Any] = tomllib.loads((APP / "pyproject.toml").read_text())
    development = {
        project["tool"]["pyright"]["pythonVersion"],
        project["tool"]["ruff"]["target-version"].replace("py3", "3."),
        project["project"]["requires-python"].removeprefix(">="),
    }
    inputs = {step.content["with"]["python-version"] for step in steps() if "setup-python" in step.uses}
    uv = {workflow["env"]["UV_PYTHON"] for workflow in workflows().values() if "env" in workflow}
    assert development == inputs == uv == {tag[1]}


@pytest.mark.control("lockfile-frozen-install")
def test_every_install_takes_the_lock_as_it_is_or_names_a_version():
    image = [part for run in of("RUN") for part in run.split("&&")]
    make = (ROOT / "Makefile").read_text().splitlines()
    lines = [line for line in (*image, *commands(), *make) if not line.strip().startswith("#")]
    frozen = [line for line in lines if re.search(r"\b(uv|\$\(UV\)) (sync|run|export)\b", line)]
    assert len(frozen) > 8
    assert [line for line in frozen if "--frozen" not in line] == []
    named = [line for line in lines if re.search(r"\b(pip install|uvx|uv tool install)\b", line)]
    assert len(named) > 4
    assert [line for line in named if "==" not in line] == []


@pytest.mark.control("lockfile-frozen-install")
def test_what_builds_the_library_is_locked_too():
    """Its name and version stand in the wheel, and so in the image."""
    library = tomllib.loads((ROOT / "runtime/pyproject.toml").read_text())
    needed = {re.split("[<>=]", requirement)[0] for requirement in library["build-system"]["requires"]}
    lock = tomllib.loads((APP / "uv.lock").read_text())
    locked = {each["name"] for each in lock["manifest"]["build-constraints"] if each["specifier"].startswith("==")}
    assert needed == locked


def test_one_version_of_uv_builds_everywhere():
    makefile = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    assert makefile is not None
    workflow = {step.content["with"]["version"] for step in steps() if "setup-uv" in step.uses}
    assert {arguments()["UV_VERSION"]} == workflow == {makefile[1]}


@pytest.mark.control("minimal-runtime-image", "debug-and-reload-disabled")
def test_the_last_stage_is_a_process_of_a_numeric_user_without_a_shell():
    final = instructions()[max(n for n, (word, _) in enumerate(instructions()) if word == "FROM") :]
    assert [rest for word, rest in final if word == "USER"] == ["10001:10001"]
    assert [word for word, _ in final].index("USER") > max(n for n, (word, _) in enumerate(final) if word == "RUN")
    start = json.loads(next(rest for word, rest in final if word == "CMD"))
    assert start[0] == "python"
    assert not {"--reload", "--debug"} & set(start)
    assert not {"HEALTHCHECK", "ENTRYPOINT", "SHELL", "ADD"} & {word for word, _ in final}


def test_nothing_reaches_the_build_that_is_not_named():
    rules = [line for line in (APP / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {word for line in of("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert allowed == copied
