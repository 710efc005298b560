"""Objects that the deploy names itself: found by the labels of their pods, or not judged."""

from dataclasses import replace

import pytest

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Record, mapping
from tests.conftest import stack_records, stack_settings
from tests.preview.observations import Edit, Items, container, diagnosed, one, only


def auto_named(record: Record) -> Record:
    metadata = {key: value for key, value in mapping(record.at("metadata")).items() if key != "name"}
    return replace(record, inputs={**record.inputs, "metadata": metadata})


@pytest.fixture(scope="module")
def unnamed() -> Program:
    """The stack `local`, whose Deployment states no name."""
    records = stack_records(stack_settings("local"), "local")
    return Program([auto_named(each) if each.type.endswith(":Deployment") else each for each in records])


def labelled(program: Program, *, also: str = "") -> Edit:
    (workload,) = (each for each in program.workloads if each.kind == "Deployment")

    def edit(found: Items) -> None:
        live = one(found, "Deployment")
        live["metadata"]["name"] = "service-deployment-1a2b3c4d"
        live["spec"]["template"] = {"metadata": {"labels": {**mapping(workload.labels), "pod-template-hash": "x"}}}
        if also:
            found.append({**live, "metadata": {"name": also, "uid": also}})

    return edit


def test_an_object_without_a_stated_name_is_found_by_the_labels_of_its_pods(unnamed: Program):
    found = only(diagnosed(unnamed, "crash", labelled(unnamed)))
    assert found.subject == "Deployment service-deployment-1a2b3c4d"
    assert "cannot start" in found.cause


def test_of_several_that_could_be_it_none_is_judged(unnamed: Program):
    """Nor is it said to be missing, or to serve nothing."""
    found = diagnosed(unnamed, "crash", labelled(unnamed, also="service-deployment-0000"))
    assert found.findings == ()
    assert found.serving == ("Deployment service-deployment: cannot tell what serves, the deploy names it",)


def test_one_that_is_not_there_is_not_told_as_missing(unnamed: Program):
    healthy = container(ready=True, restartCount=0, state={"running": {"startedAt": "2026-11-22T00:31:18Z"}})
    assert diagnosed(unnamed, "crash", healthy, lambda found: found.remove(one(found, "Deployment"))).findings == ()
