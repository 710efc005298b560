"""The command as a user meets it: what it prints, where, and with which exit code."""

import json
import re
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_platform_policy.program import Program
from fastapi_platform_preview import manifests, project, recording
from fastapi_platform_preview.cli import main
from fastapi_platform_preview.launcher import RecordedStack
from fastapi_platform_preview.recording import Started
from tests.conftest import ROOT, stack_settings

FOREIGN = Path(__file__).parent / "foreign"
FIXTURES = str(FOREIGN / "fixtures.yaml")
COMMAND = ["preview", "--cwd", str(ROOT)]


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of the project's program and settings, to make mistakes in."""
    for name in ("Pulumi.yaml", "Pulumi.local.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "infra", tmp_path / "infra")
    (tmp_path / "uv.lock").touch()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def test_stacks_are_shown_and_clean(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """The first thing anybody runs: no violation, manifests in deploy order."""
    assert main([*COMMAND, "local", "prod", "--out", str(tmp_path / "out")]) == 0
    text, complaints = capfd.readouterr()
    assert complaints == ""
    headers = re.findall(r"^fastapi-platform / (\w+)$", text, re.MULTILINE)
    assert headers == ["local", "prod"]
    for title in ("Components", "Deploy order", "Drain budget", "Who selects which pods", "Outputs"):
        assert len(re.findall(rf"^{title}", text, re.MULTILINE)) == 2
    assert text.count("0 violated  0 cannot-know-yet") == 2
    assert text.count("must succeed before Deployment orders") == 2
    assert not re.search(r"[ \t]$", text, re.MULTILINE), "a line ends in blanks"
    assert "\x1b" not in text, "colour in a pipe"
    assert (tmp_path / "out" / "local" / "001-namespace-orders.yaml").is_file()


def test_a_foreign_program_is_shown_as_it_is_and_judged(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Raw resources, no component of ours: the rules must see them all the same, and people what it prints."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert main(["preview", "test", "--cwd", str(FOREIGN), "--fixtures", FIXTURES, "--format", "json"]) == 1
    text, complaints = capfd.readouterr()
    stack = json.loads(text)["stacks"][0]
    assert complaints == "this is the program speaking\n"
    assert [resource["type"] for resource in stack["resources"]] == [
        "kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Secret", "kubernetes:core/v1:Service",
    ]  # fmt: skip
    assert stack["outputs"] == {"here": "foreign", "id": "[unknown]", "token": "[secret]", "vpc": "net-1"}
    assert stack["messages"] == [{"severity": "info", "text": "features: on"}]
    violated = {each["rule"] for each in stack["findings"] if each["verdict"] == "violated"}
    assert {"images-by-digest", "pods-restricted", "resources-sized"} <= violated


def test_a_question_to_a_cloud_without_an_answer_ends_the_run(small: Path, capfd: pytest.CaptureFixture[str]):
    (small / "__main__.py").write_text("import pulumi\npulumi.StackReference('acme/network/production')\n")
    assert main(["preview", "good", "--cwd", str(small)]) == 2
    heading, complaint, *example = capfd.readouterr().err.splitlines()
    assert heading == "error: stack good"
    assert complaint.startswith("  pulumi:pulumi:StackReference: got a question to a cloud (arguments: id)")
    assert complaint.endswith("in preview-fixtures.yaml beside Pulumi.yaml, or in the file of --fixtures:")
    (small / "preview-fixtures.yaml").write_text("\n".join(example))
    assert main(["preview", "good", "--cwd", str(small)]) == 0, "the example is an answer"


MISTAKES: dict[str, Any] = {
    "service": {
        "image": "orders:latest", "prot": 1, "port": 8000, "metrics_port": 8000,
        "autoscaling": {"min_replicas": 5, "max_replicas": 3},
        "resources": {"memory": "256Mi", "memory_limit": "1Mi"},
        "probes": {"readiness_path": "/healthz/live"},
        "request_timeout_seconds": 700, "tmp_size": ["x"], "env": {"STRIPE_TOKEN": "hunter2"},
    },
    "name": "n" * 80,
}  # fmt: skip
EXPECTED = (
    "name: got nnn", "service.prot: got an unknown key", "service.tmp_size: got a list of 1, want text",
    "service.autoscaling.max_replicas: got 3", "service.resources.memory_limit: got 1Mi",
    "service.probes.readiness_path: got /healthz/live", "service.image: got orders:latest",
    "service.port: got 8000, want another port", "service.request_timeout_seconds: got 700 seconds",
    "service.env: got STRIPE_TOKEN in clear",
)  # fmt: skip


def test_every_mistake_of_a_stack_file_is_one_line_and_there_is_no_traceback(
    project_copy: Path, capfd: pytest.CaptureFixture[str]
):
    """Whoever made ten mistakes mends ten mistakes and runs it once more, not ten times."""
    settings = stack_settings("prod") | MISTAKES
    config = {f"fastapi-platform:{key}": value for key, value in settings.items()}
    (project_copy / "Pulumi.prod.yaml").write_text(json.dumps({"config": config}))
    assert main(["preview", "prod", "--cwd", str(project_copy)]) == 2
    text, complaints = capfd.readouterr()
    assert text == ""
    assert "Traceback" not in complaints
    assert "hunter2" not in complaints
    heading, *lines = [line.strip() for line in complaints.splitlines()]
    assert heading == "error: stack prod"
    for expected in EXPECTED:
        assert len([line for line in lines if line.startswith(expected)]) == 1, (expected, lines)
    assert len(lines) == len(EXPECTED), "one line a mistake"


@pytest.mark.parametrize(
    ("stack_file", "complaint"),
    [
        ("config: [\n", "Pulumi.prod.yaml: got "),
        ("config: {fastapi-platform:name: {secure: v1:a}}\n", "Pulumi.prod.yaml.name: got an encrypted value"),
        ("config: {fastapi-platform:name: orders}\n", "Pulumi.prod.yaml.cluster: got nothing"),
        ("configg: {}\n", "Did you mean config?"),
        (None, "Pulumi.prod.yaml: got no such file, want one of the stacks dev, local"),
    ],
)
def test_a_stack_file_that_cannot_be_read_is_refused_before_anything_runs(
    project_copy: Path, capfd: pytest.CaptureFixture[str], stack_file: str | None, complaint: str
):
    file = project_copy / "Pulumi.prod.yaml"
    file.unlink() if stack_file is None else file.write_text(stack_file)
    assert main(["preview", "prod", "--cwd", str(project_copy)]) == 2
    text, complaints = capfd.readouterr()
    assert text == ""
    assert complaint in complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize("command", ["preview", "render"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_place_that_cannot_be_written_is_one_message(
    small: Path, capfd: pytest.CaptureFixture[str], command: str, place: str
):
    (small / "__main__.py").write_text("")
    (small / "file").touch()
    assert main([command, "good", "--cwd", str(small), "--out", str(small / place)]) == 2
    complaint = " ".join(capfd.readouterr().err.split())
    assert complaint.startswith(("error: --out: got ", "error: stack good --out: got "))
    assert complaint.count("got ") == 1


def test_every_folder_is_looked_at_before_a_stack_is_waited_for(small: Path, capfd: pytest.CaptureFixture[str]):
    out = small / "out"
    for stack in ("bad", "good"):
        (out / stack).mkdir(parents=True)
        (out / stack / "mine").touch()
    assert main(["preview", "--cwd", str(small), "--out", str(out)]) == 2
    text, complaints = capfd.readouterr()
    assert text == ""
    assert [line.partition(", which holds ")[0] for line in complaints.splitlines()] == [
        f"error: --out: got {out / 'bad'}", f"error: --out: got {out / 'good'}",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written_after_all_hides_no_stack(small: Path, capfd: pytest.CaptureFixture[str]):
    """A user's own file has the name of one that this run would write."""
    (small / "__main__.py").write_text(CONFIG_MAP)
    out = small / "out"
    assert main(["preview", "--cwd", str(small), "--out", str(out)]) == 0
    (out / "bad" / manifests.MARK).write_text("")
    capfd.readouterr()
    assert main(["preview", "--cwd", str(small), "--out", str(out), "--format", "json"]) == 2
    text, complaints = capfd.readouterr()
    document = json.loads(text)
    assert [stack["stack"] for stack in document["stacks"]] == ["bad", "good"]
    assert [error["stack"] for error in document["errors"]] == ["bad"]
    assert "which holds 001-configmap-it.yaml" in complaints


CONFIG_MAP = """
import pulumi
pulumi.CustomResource("kubernetes:core/v1:ConfigMap", "it", {"kind": "ConfigMap", "metadata": {"name": "it"}})
"""


def test_the_version_is_shown(capfd: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capfd.readouterr().out)


def test_manifests_are_printed_as_one_stream_without_secrets(
    recorded_stacks: dict[str, Program], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    recorded: Future[RecordedStack] = Future()
    recorded.set_result(RecordedStack("fastapi-platform", "local", recorded_stacks["local"].records, {}, (), 1.0))
    started = Started(project.find(ROOT), ("local",), (recorded,))

    def start(*_: object) -> Started:
        return started

    monkeypatch.setattr(recording, "start", start)
    assert main(["render", "local", "--cwd", str(ROOT)]) == 0
    documents = list(yaml.safe_load_all(capfd.readouterr().out))
    kinds = [each["kind"] for each in documents]
    assert len(kinds) == 19
    assert kinds.index("Namespace") < kinds.index("StatefulSet") < kinds.index("Job") < kinds.index("Deployment")
    assert documents[kinds.index("Secret")]["stringData"] == {"redacted": "[secret]"}


@pytest.mark.parametrize("arguments", [["preview", "--colour"], ["paint"], ["render"], ["preview", "--format", "xml"]])
def test_wrong_usage_is_answered_with_exit_code_2(arguments: list[str], capfd: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    assert "Error" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["preview", "--help"], ["render", "--help"], ["doctor", "--help"]])
def test_help_says_what_a_command_is_for(arguments: list[str], capfd: pytest.CaptureFixture[str]):
    assert main(arguments) == 0
    assert "Usage: fastapi-platform" in capfd.readouterr().out
