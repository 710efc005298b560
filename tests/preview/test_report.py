"""What a preview says: order, drain budgets, selections, unknowns, findings; as text, as JSON, as manifests."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fastapi_platform_policy.catalog import RULES
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record
from fastapi_platform_policy.rule import Thresholds, judge
from fastapi_platform_policy.workloads import kubernetes_kind
from fastapi_platform_preview import json_format, manifests, order, report, text_format
from fastapi_platform_preview.errors import UsageError
from fastapi_platform_preview.launcher import RecordedStack
from fastapi_platform_preview.report import StackReport
from tests.policy.raw import GOOD, NOT_KNOWN, changed, program


def reported(judged: Program, stack: str = "test", **recorded: Any) -> StackReport:
    nothing: dict[str, Any] = {"outputs": {}, "messages": (), "seconds": 1.25}
    recorded_stack = RecordedStack(project="shop", stack=stack, records=judged.records, **nothing | recorded)
    return report.build(recorded_stack, judged, judge(judged, RULES, Thresholds()))


def as_text(found: StackReport, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as captured:
        console.print(text_format.stack(found, first=True))
    return captured.get()


# order


def resource(name: str, *needs: str, parent: str = "", custom: bool = True) -> Record:
    return Record(urn=name, type="kubernetes:core/v1:ConfigMap" if custom else "a:index:C", name=name, custom=custom,
                  dependencies=needs, parent=parent)


def test_a_child_of_a_waiting_component_waits_too():
    """The engine registers a child only once its parent is there, and the parent waits for what it was told to."""
    records = [resource("first"), resource("component", "first", custom=False), resource("child", parent="component")]
    steps = order.steps(Program(records))
    assert [[record.name for record in step.records] for step in steps] == [["first"], ["child"]]


@given(st.lists(st.lists(st.integers(min_value=0, max_value=20), max_size=3), max_size=21))
def test_nothing_is_created_before_what_it_needs(needs: list[list[int]]):
    """Property: whatever the graph, a resource's step is later than the steps of all it depends on."""
    names = [f"r{at:02d}" for at in range(len(needs))]
    records = [resource(names[at], *(names[need] for need in found if need < at)) for at, found in enumerate(needs)]
    step_of = {record.urn: step.number for step in order.steps(Program(records)) for record in step.records}
    assert set(step_of) == {record.urn for record in records}
    assert all(step_of[need] < step_of[record.urn] for record in records for need in record.dependencies)


def test_a_chain_longer_than_pythons_stack_is_ordered():
    records = [resource(f"r{at:05d}", *([f"r{at - 1:05d}"] if at else [])) for at in range(3000)]
    assert len(order.steps(Program(records))) == 3000


def test_the_gate_is_named_with_what_waits_for_it():
    found = reported(program(GOOD))
    assert [gate.name for step in found.steps for gate in step.gates] == ["migration"]
    assert "gate: Job shop-migrate must succeed before Deployment shop" in as_text(found)


def test_what_is_only_patched_is_not_listed_as_created(recorded_stacks: dict[str, Program]):
    listed = as_text(reported(recorded_stacks["prod"], "prod"))
    assert "NamespacePatch orders" in listed.partition("Deploy order")[2]
    assert not re.search(r"\bNamespace orders", listed)


# text


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_breaks_lines_and_loses_nothing(recorded_stacks: dict[str, Program], width: int):
    """Names ended in `…`, and what followed a break began at the margin, outside the tree."""
    lines = as_text(reported(recorded_stacks["prod"], "prod"), width).splitlines()
    assert "…" not in "".join(lines)
    assert max(len(line) for line in lines) <= width
    tree = lines[lines.index("Components") + 1 : next(at for at, line in enumerate(lines) if "Deploy order" in line)]
    facts = tree[next(at for at, line in enumerate(tree) if "└── orders  Deployment" in line) + 1 :]
    assert all(line.startswith("        ") for line in facts if line.strip()), "a fact goes on below its own beginning"
    squeezed = re.sub(r"[\s│]", "", "".join(lines))
    assert re.sub(r"\s", "", "runs python -m fastapi_platform_runtime.migrate") in squeezed
    assert "proxy-headers--forwarded-allow-ips35.191.0.0/16,130.211.0.0/22" in squeezed


def test_every_inequality_is_printed_with_its_numbers():
    text = as_text(reported(program(GOOD)))
    assert "holds  T >= P + K + G + 5    30 >= 5 + 0 + 20 + 5 = 30" in text
    assert "K = 0: clients that keep connections open see errors at every rollout" in text
    broken = as_text(reported(program(changed("deployment.spec.template.spec.terminationGracePeriodSeconds", 29))))
    assert "broken  T >= P + K + G + 5" in broken


def test_every_selector_is_listed_with_the_pods_it_picks():
    text = as_text(reported(program(GOOD)))
    assert "Service shop                  Deployment shop" in text
    assert "NetworkPolicy everything      every pod of namespace shop: Deployment shop, Job shop-migrate" in text
    nowhere = as_text(reported(program(changed("service.spec.selector", {"app": "other"}))))
    assert "Service shop                  no pod" in nowhere


def test_a_finding_says_what_why_and_how_to_mend_it():
    text = as_text(reported(program(changed("service.spec.type", "NodePort"))))
    assert "violated  services-internal (high)  Service shop" in text
    assert "type NodePort opens it to the network beside the gateway." in text
    assert "Fix: Use type ClusterIP and let a gateway be the only way in." in text
    assert "1 violated  0 cannot-know-yet" in text


def test_what_is_not_known_is_listed_by_path():
    text = as_text(reported(program(changed("config.data.LATER", NOT_KNOWN))))
    assert "Known only after the deploy" in text
    assert "ConfigMap shop: data.LATER" in text


def test_square_brackets_are_no_markup():
    """`[secret]` once vanished from the screen, taken for a style."""
    text = as_text(reported(program(GOOD), outputs={"password": Marker.SECRET, "note": "[bold]x"}))
    assert "password  [secret]" in text
    assert "note      [bold]x" in text


# JSON


def test_the_document_is_versioned_and_complete():
    judged = program(changed("config.data.LATER", NOT_KNOWN))
    document = json.loads(json.dumps(json_format.document([reported(judged, outputs={"a": Marker.UNKNOWN})])))
    assert document["version"] == 1
    stack = document["stacks"][0]
    assert len(stack["resources"]) == len(judged.records)
    assert stack["not_known"] == [{"resource": "ConfigMap shop", "path": "data.LATER"}]
    assert stack["outputs"] == {"a": "[unknown]"}
    assert sum(stack["counts"].values()) == len(stack["findings"])
    assert stack["drain_budgets"][0]["inequalities"][0]["holds"] is True
    assert {each["role"] for each in stack["selections"]} == {
        "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service",
    }  # fmt: skip


def test_the_document_is_described_field_by_field():
    """Programs are written against the page; a field that is not on it cannot be relied on."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "preview-json.md").read_text()
    document = json_format.document([reported(program(changed("service.spec.type", "NodePort")))], [("dev", "no")])
    for field in _fields(document):
        assert f"`{field}`" in page, field


def _fields(value: Any) -> set[str]:
    """Names of all fields of a document, but those inside `inputs` and `outputs`, which are the program's own."""
    if isinstance(value, list):
        return {name for child in value for name in _fields(child)}  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return set()
    own: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
    described = (child for key, child in own.items() if key not in ("inputs", "outputs", "counts"))
    return set(own) | {name for child in described for name in _fields(child)}


LEAKING: list[tuple[str, Any]] = [
    ("deployment.spec.template.spec.containers.0.env.0", {"name": "GREETING", "value": "postgresql://u:hunter2@h/db"}),
    ("deployment.spec.template.spec.containers.0.env.0", {"name": "API_TOKEN", "value": "hunter2"}),
    ("deployment.spec.template.spec.containers.0.args", ["--password=hunter2"]),
    ("deployment.spec.template.spec.containers.0.args", ["--password", "hunter2"]),
    ("config.data.API_TOKEN", "hunter2"),
]


@pytest.mark.parametrize(("path", "value"), LEAKING, ids=[f"{path} {value}" for path, value in LEAKING])
def test_what_a_rule_calls_a_credential_is_not_printed(path: str, value: Any):
    """A preview ends up in a pull request, where everybody may read it."""
    judged = program(changed(path, value))
    found = reported(judged, outputs={"token": "hunter2"}, messages=(("info", "API_TOKEN=hunter2"),))
    assert "secrets-not-in-clear" in as_text(found)
    document = json.dumps(json_format.document([found]))
    written = manifests.as_stream(manifests.of_program(judged))
    for printed in (as_text(found), document, written):
        assert "[secret]" in printed
        assert "hunter2" not in printed


# manifests


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_every_object_has_a_manifest_in_deploy_order(stack: str, recorded_stacks: dict[str, Program]):
    found = manifests.of_program(recorded_stacks[stack])
    documents = list(yaml.safe_load_all(manifests.as_stream(found)))
    kinds = [each["kind"] for each in documents]
    assert len(kinds) == len([record for record in recorded_stacks[stack].records if kubernetes_kind(record)])
    assert kinds[0] == "Namespace"
    assert kinds.index("Job") < kinds.index("Deployment")
    assert all(list(each)[:3] == ["apiVersion", "kind", "metadata"] for each in documents)


def test_a_second_writing_replaces_the_first(tmp_path: Path, recorded_stacks: dict[str, Program]):
    manifests.write(manifests.of_program(recorded_stacks["local"]), tmp_path)
    manifests.write(manifests.of_program(recorded_stacks["prod"]), tmp_path)
    names = sorted(file.name for file in tmp_path.glob("*.yaml"))
    assert len(names) == 18
    assert names[0] == "001-namespace-orders.yaml"


def test_only_what_was_written_is_replaced(tmp_path: Path, recorded_stacks: dict[str, Program]):
    """Somebody keeps a file of their own in the folder, numbered like ours."""
    manifests.write(manifests.of_program(recorded_stacks["local"]), tmp_path)
    mine = tmp_path / "100-mine.yaml"
    mine.write_text("mine")
    manifests.write(manifests.of_program(recorded_stacks["prod"]), tmp_path)
    assert mine.read_text() == "mine"
    (tmp_path / manifests.MARK).write_text("../100-mine.yaml\n100-mine.yaml/..\n")
    with pytest.raises(UsageError, match=r"--out: got .*, which holds 001-namespace-orders\.yaml"):
        manifests.write(manifests.of_program(recorded_stacks["prod"]), tmp_path)
    assert mine.read_text() == "mine"


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path, recorded_stacks: dict[str, Program]):
    """`--out .` must not empty somebody's project."""
    precious = tmp_path / "001-mine.yaml"
    precious.write_text("mine")
    with pytest.raises(UsageError, match=r"--out: got .*, which holds other files"):
        manifests.write(manifests.of_program(recorded_stacks["prod"]), tmp_path)
    assert precious.read_text() == "mine"


def test_of_a_secret_only_what_it_holds_is_written_as_a_mapping():
    inputs = {"type": Marker.UNKNOWN, "metadata": Marker.UNKNOWN, "data": Marker.UNKNOWN}
    secret = Record(urn="s", type="kubernetes:core/v1:Secret", name="s", inputs=inputs)
    (manifest,) = manifests.of_program(Program([secret]))
    assert manifest.document == {
        "metadata": "[unknown]", "data": {"redacted": "[unknown]"}, "type": "[unknown]",
    }  # fmt: skip
