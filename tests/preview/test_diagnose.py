"""`diagnose` as a command: what is printed, with which exit code, and what never is."""

import json
import re
import shlex

import pytest

from fastapi_platform_preview.cli import main
from tests.preview.deploys import Machine
from tests.preview.observations import RECORDED, Items, broken_pod

pytestmark = pytest.mark.processes


def diagnose(machine: Machine, *words: str) -> int:
    return main(["diagnose", "dev", "--cwd", str(machine.project), *words])


def test_diagnose_says_what_is_wrong_and_with_which_code(machine: Machine, capfd: pytest.CaptureFixture[str]):
    assert diagnose(machine) == 1
    assert "out of memory" in capfd.readouterr().out
    machine.cluster(before="oom", edit=_mended)
    assert diagnose(machine) == 0
    assert "no fault" in capfd.readouterr().out


def _mended(found: Items) -> None:
    pod = broken_pod(found)
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    pod["status"]["containerStatuses"][0] |= {"ready": True, "restartCount": 0, "state": {"running": {}}}


def test_diagnose_as_data_has_every_finding(machine: Machine, capfd: pytest.CaptureFixture[str]):
    assert diagnose(machine, "--format", "json") == 1
    document = json.loads(capfd.readouterr().out)
    assert document["stack"] == "dev"
    assert [each["cause"] for each in document["findings"]] == ["out of memory: the limit of container api is 32Mi"]


def test_a_log_line_with_a_credential_is_not_printed(machine: Machine, capfd: pytest.CaptureFixture[str]):
    said = '{"severity": "ERROR", "message": "refused: postgresql://u:Zx9SECRETzz@h/d token=Zx9SECRETzz"}'
    machine.cluster(before="ready")
    machine.install("kubectl", f"[ $1 = logs ] && echo {shlex.quote(said)} || cat {machine.state}/before")
    for words in ((), ("--format", "json")):
        assert diagnose(machine, *words) == 1
        text = capfd.readouterr().out
        assert "refused: [secret]" in text
        assert "Zx9SECRETzz" not in text


@pytest.mark.parametrize(
    ("kubectl", "complaint"),
    [
        ("", "got nothing on PATH, want kubectl"),
        ("echo 'The connection to the server was refused' >&2; exit 1", "got The connection to the server was refused"),
        ("echo nonsense", "got no answer, want an answer to `kubectl get`"),
    ],
)
def test_a_cluster_that_cannot_be_asked_is_one_error(
    machine: Machine, kubectl: str, complaint: str, capfd: pytest.CaptureFixture[str]
):
    machine.remove("kubectl")
    if kubectl:
        machine.install("kubectl", kubectl)
    assert diagnose(machine) == 2
    text, said = capfd.readouterr()
    assert text == ""
    assert len(said.splitlines()) == 1
    assert complaint in said


def test_a_stack_that_is_not_deployed_is_told_as_one_cause(machine: Machine, capfd: pytest.CaptureFixture[str]):
    machine.cluster()
    nothing = f"[ $2 = namespace ] && echo 'Error (NotFound)' >&2 || cat {machine.state}/before"
    machine.install("kubectl", nothing)
    assert diagnose(machine) == 1
    assert "the stack is not deployed" in capfd.readouterr().out


def test_a_stack_without_a_cluster_to_ask_is_refused(machine: Machine, capfd: pytest.CaptureFixture[str]):
    (machine.project / "__main__.py").write_text("import pulumi\n")
    assert diagnose(machine) == 2
    assert "got 0 clusters that can be asked" in capfd.readouterr().err


def test_recordings_name_nobodys_machine():
    """What a cluster says names its nodes and addresses; what is kept of it here does not."""
    address = re.compile(r"\b(?:10\.\d+|172\.\d+|192\.168)\.\d+\.\d+\b")
    for file in RECORDED.iterdir():
        text = file.read_text()
        assert len(text) < 15_000, file
        assert address.findall(text) == [], file
