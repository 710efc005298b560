"""The doctor: what a machine has, and how to get what it has not."""

import re
import stat
from pathlib import Path

import pytest

from fastapi_platform_preview import doctor, versions
from fastapi_platform_preview.cli import main
from fastapi_platform_preview.doctor import Step
from tests.conftest import ROOT

pytestmark = pytest.mark.processes


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; empty until a test puts something there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def found(step: Step, folder: Path = ROOT) -> dict[str, str]:
    return {check.need: check.found for check in doctor.examine(folder, step)}


PROGRAM = """
import pulumi
context = pulumi.Config().get("where")
if context == "crash":
    raise ValueError("no such thing")
kubeconfig = pulumi.Config().get("kubeconfig")
stated = {"context": context, "kubeconfig": kubeconfig}
pulumi.ProviderResource("kubernetes", "cluster", {key: value for key, value in stated.items() if value})
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project of another shape than ours, with a stack a cluster."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\nrequiredPulumiVersion: '>=3.219.0 <4.0.0'\n")
    (folder / "__main__.py").write_text(PROGRAM)
    for stack, context in (("dev", "here"), ("prod", "there")):
        (folder / f"Pulumi.{stack}.yaml").write_text(f"config: {{shop:where: {context}}}\n")
    return folder


def test_a_preview_needs_nothing_but_what_is_installed_here(tools: Path):
    assert all(found(Step.PREVIEW).values())
    assert found(Step.PREVIEW)["a Pulumi project"] == "fastapi-platform with stacks dev, local, prod"


def test_what_is_missing_is_said_with_its_remedy(tools: Path, small: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "deploy", "--cwd", str(small)]) == 1
    text, complaint = capfd.readouterr()
    remedy = r"^missing +pulumi >=3\.219\.0 <4\.0\.0 +Install it: https://www\.pulumi\.com/docs/install/$"
    assert re.search(remedy, text, re.MULTILINE)
    assert re.search(r"^no answer +the cluster of stack prod \(context there\) +Start it", text, re.MULTILINE)
    assert complaint == "3 missing for deploy\n"


def test_only_the_cluster_of_a_named_stack_must_answer(tools: Path, small: Path, capfd: pytest.CaptureFixture[str]):
    """A laptop does not reach production, and deploys to development all the same."""
    install(tools, "pulumi", "echo v3.260.0")
    install(tools, "uv", "echo uv 0.13.9")
    install(tools, "kubectl", ANSWERS)
    assert main(["doctor", "deploy", "--cwd", str(small)]) == 0
    assert main(["doctor", "deploy", "dev", "--cwd", str(small)]) == 0
    capfd.readouterr()
    assert main(["doctor", "deploy", "prod", "--cwd", str(small)]) == 1
    text, complaint = capfd.readouterr()
    assert re.search(r"^missing +the cluster of stack prod", text, re.MULTILINE)
    assert "stack dev" not in text
    assert complaint == "1 missing for deploy\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["deploy", "prdo"], "Did you mean prod?"), (["preview", "prod"], "Run fastapi-platform doctor deploy prod.")],
)
def test_a_stack_that_the_doctor_cannot_ask_about_is_refused(
    tools: Path, small: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
):
    assert main(["doctor", *arguments, "--cwd", str(small)]) == 2
    assert complaint in capfd.readouterr().err


def test_without_a_step_no_stack_is_recorded(tools: Path, small: Path, capfd: pytest.CaptureFixture[str]):
    """It took as long as a preview of everything."""
    (small / "__main__.py").write_text("open('ran', 'w').close()\n")
    main(["doctor", "--cwd", str(small)])
    assert "the cluster of" not in capfd.readouterr().out
    assert not (small / "ran").exists()


def test_a_project_without_a_stack_cannot_be_previewed_yet(tools: Path, small: Path):
    for file in small.glob("Pulumi.*.yaml"):
        file.unlink()
    check = next(each for each in doctor.examine(small, Step.PREVIEW) if each.need == "a Pulumi project")
    assert check.found == ""
    assert "Pulumi.dev.yaml" in check.remedy


def test_tools_on_the_path_are_found(tools: Path, small: Path):
    install(tools, "pulumi", "echo v3.260.0")
    install(tools, "uv", "echo uv 0.13.9")
    install(tools, "docker", "exit 1")
    install(tools, "podman", "echo podman version 5.6.0")
    install(tools, "kind", "exit 0")
    install(tools, "kubectl", ANSWERS)
    assert found(Step.DEPLOY, small) == {
        "pulumi >=3.219.0 <4.0.0": "v3.260.0", "uv": "uv 0.13.9", "kubectl": "installed",
        "the cluster of stack dev (context here)": "v1.36.3", "the cluster of stack prod (context there)": "",
    }  # fmt: skip
    assert found(Step.IMAGE) == {"docker, podman or buildah": "podman"}
    assert found(Step.LOCAL) == {"kind, k3d or minikube": "kind"}


def test_a_docker_without_its_daemon_builds_nothing(tools: Path):
    install(tools, "docker", '[ "$1" = --version ] && echo Docker version 29.0.0')
    check = doctor.examine(ROOT, Step.IMAGE)[0]
    assert check.found == ""
    assert "docker info" in check.remedy


ANSWER = """echo '{"serverVersion": {"gitVersion": "v1.36.3"}}'"""
ANSWERS = f"""case "$*" in *--context=here*) {ANSWER} ;; *) exit 1 ;; esac"""


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", """echo '{"clientVersion": {}}'"""])
def test_a_cluster_that_does_not_answer_is_missing(tools: Path, small: Path, script: str):
    install(tools, "kubectl", script)
    assert found(Step.DEPLOY, small)["the cluster of stack dev (context here)"] == ""


def test_a_stack_that_cannot_be_recorded_is_missing_with_its_reason(tools: Path, small: Path):
    (small / "Pulumi.dev.yaml").write_text("config: {shop:where: crash}\n")
    check = next(each for each in doctor.examine(small, Step.DEPLOY) if "stack dev" in each.need)
    assert check.found == ""
    assert "ValueError: no such thing" in check.remedy


def test_a_provider_without_a_context_means_the_selected_cluster(tools: Path, small: Path):
    (small / "Pulumi.dev.yaml").write_text("config: {}\n")
    install(tools, "kubectl", ANSWER)
    assert found(Step.DEPLOY, small)["the cluster of stack dev"] == "v1.36.3"


def test_the_content_of_a_kubeconfig_is_nobodys_argument(tools: Path, small: Path):
    """Everybody on the machine reads the arguments of a process; a file is found from where the program runs."""
    (small / "Pulumi.dev.yaml").write_text("config: {shop:kubeconfig: '{\"users\": []}'}\n")
    (small / "Pulumi.prod.yaml").write_text("config: {shop:kubeconfig: there.yaml}\n")
    (small / "there.yaml").touch()
    install(tools, "kubectl", f"""case "$*" in *--kubeconfig={small}/there.yaml*) {ANSWER} ;; *) exit 1 ;; esac""")
    clusters = {need: answer for need, answer in found(Step.DEPLOY, small).items() if "cluster" in need}
    assert clusters == {"the cluster of stack prod": "v1.36.3"}


def test_a_list_of_kubeconfigs_is_left_to_kubectl(tools: Path, small: Path, monkeypatch: pytest.MonkeyPatch):
    """The SDK gives a provider that states none the variable's value, which is no file when it is a list."""
    files = f"{small}/here.yaml:{small}/there.yaml"
    monkeypatch.setenv("KUBECONFIG", files)
    (small / "Pulumi.dev.yaml").write_text(f"config: {{shop:kubeconfig: '{files}'}}\n")
    install(tools, "kubectl", f"""case "$*" in *--kubeconfig*) exit 1 ;; *) {ANSWER} ;; esac""")
    assert found(Step.DEPLOY, small)["the cluster of stack dev"] == "v1.36.3"


def test_a_cluster_whose_context_the_deploy_decides_is_not_asked(tools: Path, small: Path):
    (small / "__main__.py").write_text("""
import pulumi
made = pulumi.CustomResource("random:index:Made", "made", {"result": None})
pulumi.ProviderResource("kubernetes", "cluster", {"context": made.id})
""")
    assert not [need for need in found(Step.DEPLOY, small) if "cluster" in need]


def test_a_pulumi_that_the_project_refuses_is_missing(tools: Path, small: Path):
    """The engine refuses it too, but only after everything else has been prepared."""
    install(tools, "pulumi", "echo v3.218.9")
    check = doctor.examine(small, Step.DEPLOY)[0]
    assert (check.need, check.found) == ("pulumi >=3.219.0 <4.0.0", "")
    assert check.remedy.startswith("Found v3.218.9. Install it: ")


@pytest.mark.parametrize(
    ("version", "accepted", "answer"),
    [
        ("v3.219.0", ">=3.219.0", True), ("v3.218.9", ">=3.219.0", False), ("v3.1000.0", ">3.219.0", True),
        ("v4.0.0", ">=3.219.0 <4.0.0", False), ("v5.0.1", "<4.0.0 || >= 5.0.0", True), ("v3.2.1", "3.2.1", True),
        ("v3.2.1", "!=3.2.1", False), ("v3.219.0-alpha.1", ">=3.219.0", False), ("v3.220.0-dev+a", ">3.219.0", True),
        ("v3.2.1", "~3.2", None), ("v3.2.1", "3.x", None), ("v3.2.1", "", None), ("dev", ">=3.0.0", None),
    ],
)  # fmt: skip
def test_a_range_is_read_as_the_engine_reads_it(version: str, accepted: str, answer: bool | None):
    assert versions.allowed(version, accepted) is answer


def test_without_a_step_only_a_preview_must_be_possible(tools: Path, small: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "--cwd", str(small)]) == 0
    assert "missing" in capfd.readouterr().out


def test_outside_a_project_the_doctor_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["doctor", "--cwd", str(tmp_path)]) == 1
    assert "got no Pulumi.yaml here or above" in capfd.readouterr().out
