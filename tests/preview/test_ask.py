"""What kubectl answers, and what is made of an answer that is none."""

import json
import sys
from dataclasses import replace

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_preview.cli import main
from fastapi_platform_preview.clusters import Cluster
from fastapi_platform_preview.diagnosis import stack
from fastapi_platform_preview.diagnosis.advice import Advice
from fastapi_platform_preview.diagnosis.ask import NoAnswerError, Space
from fastapi_platform_preview.diagnosis.finding import Log
from fastapi_platform_preview.diagnosis.stack import Subject
from tests.conftest import stack_records, stack_settings
from tests.preview.deploys import PROGRAM, Machine
from tests.preview.observations import SECTIONS

pytestmark = pytest.mark.processes
SPACE = Space(Cluster("local"), "orders")
HANGS = f"exec {sys.executable} -c 'import time; time.sleep(600)'"


@pytest.fixture(scope="module")
def local() -> Subject:
    program = Program(stack_records(stack_settings("local"), "local"))
    return Subject(program, Advice("local", "Pulumi.local.yaml", SECTIONS), (SPACE,))


def test_a_part_of_an_answer_is_no_answer(machine: Machine):
    """One kind that may not be read could be the one that is broken."""
    some = json.dumps({"items": [{"kind": "Pod", "metadata": {"name": "a"}}]})
    machine.install("kubectl", f"echo '{some}'; echo 'Error (Forbidden): events is forbidden' >&2; exit 1")
    with pytest.raises(NoAnswerError, match="events is forbidden"):
        SPACE.look()


def test_a_log_that_is_not_utf_8_is_read_as_far_as_it_goes(machine: Machine):
    machine.install("kubectl", r"printf 'caf\351 is closed\n'")
    assert SPACE.lines(Log("pod", "api"), 20) == "caf\ufffd is closed\n"


def test_logs_that_do_not_come_are_left_out_and_take_one_budget(
    machine: Machine, local: Subject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stack, "LOGS_SECONDS", 0.5)
    machine.cluster(before="ready")
    machine.install("kubectl", f"[ $1 = logs ] && echo >> {machine.state}/logs && {HANGS}\ncat {machine.state}/before")
    found = local.diagnosis()
    twice = replace(found, findings=(*found.findings, *found.findings))
    causes = [each.cause for each in local.complete(twice).findings]
    assert causes == ["never ready: /nosuch of container api says no"] * 2
    assert len(machine.lines("logs")) <= 1


def test_a_namespace_is_taken_to_be_there_while_nobody_answers(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fastapi_platform_preview.diagnosis.ask.CALL_SECONDS", 0.2)
    machine.install("kubectl", HANGS)
    assert SPACE.exists()


def test_a_namespace_that_the_deploy_names_is_refused_instead_of_asking_another(
    machine: Machine, capfd: pytest.CaptureFixture[str]
):
    named_later = PROGRAM.replace('"namespace": "orders"', '"namespace": space.metadata["name"]')
    space = 'space = kubernetes.core.v1.Namespace("space", opts=pulumi.ResourceOptions(provider=cluster))'
    program = named_later.replace("template =", f"import pulumi_kubernetes as kubernetes\n{space}\ntemplate =")
    (machine.project / "__main__.py").write_text(program)
    assert main(["diagnose", "dev", "--cwd", str(machine.project)]) == 2
    assert "got a namespace that the deploy names" in capfd.readouterr().err


@pytest.mark.parametrize(("there", "cause"), [(False, "the stack is not deployed"), (True, "it does not exist")])
def test_a_stack_with_a_service_that_is_not_deployed_is_told_as_one_cause(
    machine: Machine, local: Subject, there: bool, cause: str
):
    machine.cluster()
    answer = ":" if there else "echo 'Error (NotFound)' >&2"
    machine.install("kubectl", f"if [ $2 = namespace ]; then {answer}; else cat {machine.state}/before; fi")
    assert {each.cause for each in local.complete(local.diagnosis()).findings} == {cause}
