"""The composition: what each stack consists of, what waits for what, and what one setting changes."""

import inspect
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pulumi_kubernetes import provider as provider_module
from settings import parse
from stack import build

from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Record, unknown_paths
from tests.conftest import DIGEST, STACKS, Recorder, changed, of_type, stack_records, stack_settings

GOLDEN = Path(__file__).parent / "golden"


def listing(records: tuple[Record, ...]) -> str:
    """Type, name and parent of every resource: whatever renames or moves one is a line of this list."""
    parents = {record.urn: record.name for record in records}
    return "".join(f"{record.type} {record.name} in {parents.get(record.parent, 'the stack')}\n" for record in records)


# shape


@pytest.mark.parametrize("stack", STACKS)
def test_the_resources_of_a_stack_are_the_listed_ones(stack: str, recorded_stacks: dict[str, Program]):
    """A changed URN replaces the resource; here it is a visible line. `make golden` writes the lists."""
    file = GOLDEN / f"urns-{stack}.txt"
    found = listing(recorded_stacks[stack].records)
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(found)
    assert file.read_text() == found, "a resource came, went or moved: `make golden` writes the new list"


# invariants


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_runs_the_release_waits_for_its_migration(stack: str, recorded_stacks: dict[str, Program]):
    program = recorded_stacks[stack]
    job = program.of_kind("Job")[0]
    waiting = [each for each in program.workloads if each.kind in ("Deployment", "CronJob")]
    assert waiting
    assert all(job.urn in each.record.dependencies for each in waiting)


def test_workers_and_schedules_wait_for_the_migration_too():
    settings = changed(stack_settings("prod"), "workers", {"emails": {"command": ["w"]}})
    settings = changed(settings, "schedules", {"cleanup": {"command": ["c"], "schedule": "@daily"}})
    records = stack_records(settings)
    job = of_type(records, ":Job")[0]
    for kind in (":Deployment", ":CronJob"):
        assert all(job.urn in record.dependencies for record in of_type(records, kind))
    assert len(of_type(records, ":Deployment")) == 2


def test_the_migration_waits_for_the_database(recorded_stacks: dict[str, Program]):
    program = recorded_stacks["local"]
    server = program.of_kind("StatefulSet")[0]
    assert server.urn in program.of_kind("Job")[0].dependencies


def test_nothing_is_made_in_a_namespace_that_still_allows_all_traffic():
    settings = changed(stack_settings("local"), "workers", {"emails": {"command": ["w"]}})
    settings = changed(settings, "schedules", {"cleanup": {"command": ["c"], "schedule": "@daily"}})
    records = stack_records(settings)
    deny = next(record for record in records if record.name == "namespace-deny")
    objects = [each for each in records if each.type.startswith("kubernetes:")]
    inside = [each for each in objects if not each.name.startswith("namespace-")]
    assert len(inside) > 20
    assert [each.name for each in inside if deny.urn not in each.dependencies] == []


def test_a_stack_exports_what_leads_to_it(record: Recorder):
    settings = parse(stack_settings("prod"))
    seen: dict[str, Any] = {}

    async def main() -> None:
        outputs = build(settings)
        for output in fields(outputs):
            seen[output.name] = await getattr(outputs, output.name).future()

    record.recording(main)
    assert settings.migration is not None
    assert seen == {
        "address": "http://orders.orders.svc:80", "migration_job": settings.migration.job_name, "namespace": "orders",
    }


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_names_its_provider(stack: str, recorded_stacks: dict[str, Program]):
    """A default provider deploys to whatever cluster the machine has selected."""
    for record in recorded_stacks[stack].records:
        if record.custom and not record.type.startswith("pulumi:providers:"):
            assert record.provider, record.urn


@pytest.mark.parametrize("stack", STACKS)
def test_the_context_is_named_and_the_provider_is_never_replaced(stack: str, recorded_stacks: dict[str, Program]):
    provider = of_type(recorded_stacks[stack].records, "pulumi:providers:kubernetes")[0]
    context = stack_settings(stack)["cluster"]["context"]
    assert provider.inputs["context"] == provider.inputs["clusterIdentifier"] == context


@pytest.mark.parametrize("stack", STACKS)
def test_a_cluster_that_does_not_answer_has_not_lost_its_objects(stack: str, recorded_stacks: dict[str, Program]):
    """With deleteUnreachable a refresh during an outage forgets everything, and the next `up` finds it in the way."""
    provider = of_type(recorded_stacks[stack].records, "pulumi:providers:kubernetes")[0]
    assert provider.inputs["deleteUnreachable"] == "false"
    assert provider.inputs["enableServerSideApply"] == "true"


def test_no_variable_of_the_machine_changes_how_a_stack_is_deployed(monkeypatch: pytest.MonkeyPatch):
    """The provider reads PULUMI_K8S_… wherever the program is silent; a laptop and CI must not deploy differently."""
    read = set(re.findall(r"PULUMI_K8S_[A-Z_]+", inspect.getsource(provider_module)))
    assert "PULUMI_K8S_UPSERT_EXISTING_OBJECTS" in read
    for variable in read:
        monkeypatch.setenv(variable, "false" if variable.endswith("SERVER_SIDE_APPLY") else "true")
    elsewhere = of_type(stack_records(stack_settings("prod"), "elsewhere"), "pulumi:providers:kubernetes")[0]
    assert {name for name, value in elsewhere.inputs.items() if value == "true"} == {"enableServerSideApply"}


def test_the_kubeconfig_is_where_the_stack_file_says():
    settings = changed(stack_settings("prod"), "cluster.kubeconfig", "/etc/deploy/kubeconfig")
    provider = of_type(stack_records(settings), "pulumi:providers:kubernetes")[0]
    assert provider.inputs["kubeconfig"] == "/etc/deploy/kubeconfig"


@pytest.mark.parametrize("protected", [True, False])
def test_one_setting_protects_what_holds_data(protected: bool):
    settings = changed(stack_settings("prod"), "namespace", {}) | {"deletion_protection": protected}
    assert of_type(stack_records(settings), ":Namespace")[0].protect is protected


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_namespace_that_was_there_before_is_never_deleted(stack: str, recorded_stacks: dict[str, Program]):
    """The Secret with the database's address is put there before the first deploy."""
    assert [record.type for record in recorded_stacks[stack].of_kind("Namespace")] == [
        "kubernetes:core/v1:NamespacePatch"
    ]


def test_a_local_stack_brings_its_database_and_the_others_do_not(recorded_stacks: dict[str, Program]):
    assert [stack for stack in STACKS if recorded_stacks[stack].of_kind("StatefulSet")] == ["local"]


def test_a_stack_may_go_back_without_touching_the_schema():
    """An older release does not know the newest migration, and its Job would refuse to start."""
    settings = changed(stack_settings("prod"), "migrations.mode", "skip")
    records = stack_records(settings)
    assert not of_type(records, ":Job")
    assert of_type(records, ":NamespacePatch")[0].urn in of_type(records, ":Deployment")[0].dependencies


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_unknown_before_a_deploy(stack: str, recorded_stacks: dict[str, Program]):
    """What is unknown cannot be reviewed; the generated password is a secret and stays one."""
    for record in recorded_stacks[stack].records:
        assert unknown_paths(dict(record.inputs)) == [], record.urn


# knobs


def differences(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str, str]]:
    """Kind and logical name, without a hash of the content, of what differs between two sets of settings."""
    old, new = ({record.urn: record for record in stack_records(each)} for each in (before, after))
    return {(urn.rpartition(":")[0].rpartition(":")[0].rpartition(":")[2],
             re.sub(r"-config-[0-9a-f]{10}$", "-config", urn.rpartition("::")[2]))
            for urn in set(old) | set(new) if old.get(urn) != new.get(urn)}


SERVICE = ("Deployment", "service-deployment")
WORKER = ("Deployment", "worker-jobs-deployment")
"""Runs the same code, with the same settings and secrets."""
KNOBS: list[tuple[str, Any, set[tuple[str, str]]]] = [
    ("service.image", f"registry.example.com/orders@{DIGEST}", {
        SERVICE, WORKER, ("BackgroundWorker", "worker-jobs"), ("FastApiService", "service"),
        ("Job", "migration-job"), ("MigrationJob", "migration"),
    }),
    ("service.env", {"LOG_LEVEL": "debug"}, {
        SERVICE, WORKER, ("ConfigMap", "service-config"), ("ConfigMap", "worker-jobs-config"),
    }),
    ("service.autoscaling.max_replicas", 20, {("HorizontalPodAutoscaler", "service-autoscaler")}),
    ("service.resources", {"memory": "512Mi"}, {SERVICE}),
    ("service.process.workers", 2, {SERVICE}),
    ("service.request_timeout_seconds", 20, {SERVICE}),
    ("edge.removal_lag_seconds", 30, {SERVICE}),
    ("edge.networks", ["10.9.0.0/16"], {SERVICE, ("NetworkPolicy", "service-network")}),
    ("database.secret.version", "2", {SERVICE, WORKER}),
    ("database.direct_secret.version", "2", set()),
    ("database.network", "10.21.0.0/28", {
        ("NetworkPolicy", "service-network"), ("NetworkPolicy", "migration-network"),
        ("NetworkPolicy", "worker-jobs-network"),
    }),
    # The runner is told its share of it. What waits for the gate depends on its ConfigMap, and changes no further.
    ("migrations.deadline_seconds", 600, {
        SERVICE, WORKER, ("BackgroundWorker", "worker-jobs"), ("FastApiService", "service"),
        ("ConfigMap", "migration-config"), ("Job", "migration-job"),
    }),
    ("namespace.pod_security_version", "v1.34", {("NamespacePatch", "namespace-labels")}),
    ("workers.emails", {"command": ["w"]}, {
        ("BackgroundWorker", "worker-emails"), ("ConfigMap", "worker-emails-config"),
        ("Deployment", "worker-emails-deployment"), ("NetworkPolicy", "worker-emails-network"),
        ("PodDisruptionBudget", "worker-emails-disruption"), ("ServiceAccount", "worker-emails-identity"),
    }),
]


@pytest.mark.parametrize(("path", "value", "expected"), KNOBS, ids=[knob[0] for knob in KNOBS])
def test_one_setting_changes_only_what_it_is_about(path: str, value: Any, expected: set[tuple[str, str]]):
    settings = stack_settings("prod")
    assert differences(settings, changed(settings, path, value)) == expected
