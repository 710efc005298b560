"""Files that must agree with the code: schema, stack files, reference pages, checks of the build."""

import ast
import json
import re
from dataclasses import MISSING, fields, is_dataclass
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import jsonschema
import pytest
from document import StackFile

import fastapi_platform
from fastapi_platform_preview import yaml_document
from tests.conftest import ROOT, STACKS

SCHEMA = json.loads((ROOT / "docs" / "reference" / "stack.schema.json").read_text())


def stack_file(stack: str) -> dict[str, Any]:
    return yaml_document.read(ROOT / f"Pulumi.{stack}.yaml")


def test_the_generated_pages_are_current():
    spec = spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = module_from_spec(spec)
    spec.loader.exec_module(generate)
    for page, content in generate.pages().items():
        assert page.read_text() == content, f"{page.name} is old: `make docs` writes it"


@pytest.mark.parametrize("stack", STACKS)
def test_an_editor_finds_the_schema_and_accepts_the_stack_file(stack: str):
    first = (ROOT / f"Pulumi.{stack}.yaml").read_text().splitlines()[0]
    reference = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert reference is not None
    assert (ROOT / reference[1]).is_file()
    jsonschema.validate(stack_file(stack), SCHEMA)


@pytest.mark.parametrize(
    ("key", "value"),
    [("servise", {}), ("fastapi-platform:servise", {}), ("fastapi-platform:environment", "prod"),
     ("fastapi-platform:service", {"image": "x", "prot": 1}), ("fastapi-platform:edge", {"kind": "gateway"}),
     ("fastapi-platform:service", {"image": "x", "egress": [{"ports": [1]}]}),
     ("fastapi-platform:service", {"image": "x", "secrets": {"KEY": {"name": "x"}}})],
)
def test_an_editor_marks_a_mistake(key: str, value: Any):
    document = stack_file("prod")
    document["config"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@pytest.mark.parametrize("flag", [True, False, "true", "false"])
def test_an_editor_accepts_a_boolean_as_pulumi_writes_it(flag: object):
    document = stack_file("prod")
    document["config"]["fastapi-platform:deletion_protection"] = flag
    jsonschema.validate(document, SCHEMA)


def test_every_setting_is_declared_to_the_engine_and_described():
    declared = yaml_document.read(ROOT / "Pulumi.yaml")["config"]
    assert set(declared) == set(StackFile.model_fields)
    for name, declaration in declared.items():
        required = StackFile.model_fields[name].is_required()
        assert declaration["description"], name
        assert ("default" in declaration) is not required, name


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The tables under a heading: cells by the first of a row, without its code marks."""
    section = (ROOT / "docs" / "reference" / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| `")]
    return {first.strip("`"): rest for first, *rest in lines}


def test_every_argument_is_shown_with_its_type_and_default_or_as_required():
    for name in fastapi_platform.__all__:
        owner: Any = getattr(fastapi_platform, name)
        if is_dataclass(owner):
            shown = rows("components.md", name)
            required = {each.name for each in fields(owner) if each.default is each.default_factory is MISSING}
            assert set(shown) == {each.name for each in fields(owner)}, name
            assert {key for key, cells in shown.items() if cells[1] == "**required**"} == required, name
            assert all(len(cells) == 3 and all(cells) for cells in shown.values()), name


def test_every_setting_is_shown_with_the_default_that_it_has():
    """`env` was said to be `null`, which is refused."""
    shown = rows("settings.md", "`service` (required)")
    assert shown["env"][1] == shown["secrets"][1] == "`{}`"
    assert shown["secrets.<name>.key"][1] == shown["egress[].ports"][1] == "required"
    assert shown["callers[].pod_labels"][1] == "`{}`"
    assert "egress[].peer.cidr" in shown


def test_no_function_or_file_outgrows_its_limit():
    """40 lines a function, 300 a file: what is longer is read by nobody at 3 a.m."""
    for room in ("infra", "components", "policy", "preview", "runtime", "docs", "benchmarks"):
        for file in (ROOT / room).rglob("*.py"):
            source = file.read_text()
            assert len(source.splitlines()) <= 300, file
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or 0) - node.lineno + 1
                    assert length <= (80 if node.name == "__init__" else 40), f"{file}: {node.name} has {length} lines"
