"""The migration gate. Why each invariant exists is in the docstring of its test."""

from typing import Any

import pytest

from fastapi_platform import (
    Environment,
    FastApiService,
    FastApiServiceArgs,
    Flow,
    MigrationJob,
    MigrationJobArgs,
    Peer,
    PlatformError,
    SecretKey,
)
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record, at, items
from tests.conftest import IMAGE, Recorder, of_type

JOB = "kubernetes:batch/v1:Job"


def valid_args(**overrides: Any) -> MigrationJobArgs:
    arguments: dict[str, Any] = {
        "direct_database": SecretKey("orders-db", "direct"),
        "image": IMAGE,
        "namespace": "orders",
        "service": "orders",
    }
    return MigrationJobArgs(**arguments | overrides)


def job(record: Recorder, **overrides: Any) -> Record:
    return record.one(JOB, MigrationJob, valid_args(**overrides))


# shape


def test_one_job_and_what_its_pod_stands_on(record: Recorder):
    found = record.all(MigrationJob, valid_args())
    kinds = sorted(each.type.rpartition(":")[2] for each in found)
    assert kinds == ["ConfigMap", "Job", "MigrationJob", "NetworkPolicy", "ServiceAccount"]
    assert of_type(found, ":Job")[0].parent.endswith("fastapi-platform:index:MigrationJob::it")


# invariants


def test_failed_job_is_replaced_by_the_next_up(record: Recorder):
    """Without all three, a failed migration blocks every later deploy until somebody deletes the Job by hand."""
    found = job(record)
    assert found.at("metadata", "annotations", "pulumi.com/replaceUnready") == "true"
    assert found.options.delete_before_replace
    assert found.options.replace_on_changes == ("*",)


def test_pulumi_outlives_the_jobs_deadline(record: Recorder):
    found = job(record, deadline_seconds=600)
    assert found.at("spec", "activeDeadlineSeconds") == 600
    assert found.options.create_timeout_seconds == 720


@pytest.mark.parametrize(("deadline_seconds", "waits"), [(900, "840"), (120, "60"), (60, "30"), (10, "5")])
def test_the_runner_gives_up_waiting_before_kubernetes_ends_it(deadline_seconds: int, waits: str, record: Recorder):
    """What Kubernetes ends says nothing: neither that another migration runs, nor which table is locked."""
    args = valid_args(deadline_seconds=deadline_seconds, env={"LOG_LEVEL": "debug"})
    settings = record.one("kubernetes:core/v1:ConfigMap", MigrationJob, args)
    assert settings.at("data", "MIGRATION_DEADLINE_SECONDS") == waits
    assert settings.at("data", "LOG_LEVEL") == "debug"


def test_a_migration_that_is_ended_may_roll_back(record: Recorder):
    assert job(record).at("spec", "template", "spec", "terminationGracePeriodSeconds") == 30


def test_the_finished_job_stays(record: Recorder):
    """A refresh would drop a vanished Job from the state, and the next `up` would migrate again."""
    assert job(record).at("spec", "ttlSecondsAfterFinished") is Marker.ABSENT


def test_the_job_runs_once_and_its_pod_stays_for_its_log(record: Recorder):
    found = job(record)
    assert found.at("spec", "backoffLimit") == 0
    assert found.at("spec", "podFailurePolicy") is Marker.ABSENT
    assert found.at("spec", "template", "spec", "restartPolicy") == "Never"
    container = found.at("spec", "template", "spec", "containers", 0, "terminationMessagePolicy")
    assert container == "FallbackToLogsOnError"


def test_it_connects_without_the_pooler(record: Recorder):
    """A transaction pooler breaks the session lock that keeps two migrations apart."""
    reference = job(record).at("spec", "template", "spec", "containers", 0, "env", 0)
    assert reference == {
        "name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "orders-db", "key": "direct"}},
    }


def test_no_selector_of_the_service_picks_its_pod(record: Recorder):
    """Migration pods have received live traffic in other projects because a selector matched them."""

    def both() -> None:
        MigrationJob("migration", valid_args())
        FastApiService("service", FastApiServiceArgs(image=IMAGE, namespace="orders", service="orders"))

    program = Program(record.program(both))
    picking = [each for each in program.selections if any(one.kind == "Job" for one in each.workloads)]
    assert [(each.role, each.record.name) for each in picking] == [("NetworkPolicy", "migration-network")]


def test_it_reaches_only_what_it_was_told_to(record: Recorder):
    flow = Flow(peer=Peer(cidr="10.20.0.0/28"), ports=(5432,))
    policy = record.one("kubernetes:networking.k8s.io/v1:NetworkPolicy", MigrationJob, valid_args(egress=(flow,)))
    assert policy.at("spec", "ingress") is Marker.ABSENT
    assert policy.at("spec", "egress", 1) == {
        "to": [{"ipBlock": {"cidr": "10.20.0.0/28"}}], "ports": [{"port": 5432, "protocol": "TCP"}],
    }


def test_its_own_secrets_never_move_it_to_another_database(record: Recorder):
    other = SecretKey("other-db", "pooled")
    args = valid_args(secrets={"DATABASE_URL": other, "LICENSE": SecretKey("licenses", "key")})
    found = record.one("kubernetes:batch/v1:Job", MigrationJob, args)
    variables = items(found.at("spec", "template", "spec", "containers", 0, "env"))
    secrets = {at(each, "name"): at(each, "valueFrom", "secretKeyRef", "name") for each in variables}
    assert secrets == {"DATABASE_URL": "orders-db", "LICENSE": "licenses"}


# knobs


@pytest.mark.parametrize("change", [{"image": IMAGE[:-1] + "b"}, {"command": ("alembic", "upgrade", "heads")}])
def test_another_release_is_another_job(change: dict[str, Any]):
    assert valid_args(**change).job_name != valid_args().job_name


@pytest.mark.parametrize("change", [{"deadline_seconds": 600}, {"env": {"LOG_LEVEL": "debug"}}])
def test_the_same_release_is_the_same_job(change: dict[str, Any]):
    """The name is how people and runbooks find the migration of a release."""
    assert valid_args(**change).job_name == valid_args().job_name


def test_a_rotated_password_runs_no_migration(record: Recorder):
    rotated = SecretKey("orders-db", "direct", version="2")
    assert job(record, direct_database=rotated) == job(record)


def test_another_setting_runs_it_again(record: Recorder):
    """The pod's template names the settings, and a Job with another template is another Job to Kubernetes."""
    assert job(record, env={"LOG_LEVEL": "debug"}) != job(record)


def test_the_longest_service_name_fits_the_jobs_name():
    assert len(valid_args(service="s" * 30).job_name) <= 63


# rejections


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"deadline_seconds": 0}, r"deadline_seconds: got 0, want 10 seconds or more"),
        ({"command": ()}, r"command: got \(\), want at least one word"),
        ({"image": "orders:1"}, r"image: got orders:1"),
        ({"service": "x" * 80}, r"service: got x+ \(80 characters\)"),
        ({"env": {"DATABASE_URL": "x"}}, r"env: got DATABASE_URL in clear"),
        ({"env": {"MIGRATION_DEADLINE_SECONDS": "9"}}, r"env: got MIGRATION_DEADLINE_SECONDS, want deadline_seconds"),
        ({"tmp_size": ""}, r"tmp_size: got nothing"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], message: str):
    with pytest.raises(PlatformError, match=rf"MigrationJobArgs\.{message}"):
        valid_args(**overrides)


def test_a_secret_key_needs_both_names():
    with pytest.raises(PlatformError, match=r"SecretKey\.name: got nothing"):
        SecretKey("", "direct")


def test_a_tag_is_accepted_in_a_local_stack():
    assert valid_args(image="orders:dev", environment=Environment.LOCAL).job_name.startswith("orders-migrate-")


# outputs


def test_job_name_is_an_output_that_waits_for_the_job(record: Recorder):
    fact = record.outputs(MigrationJob, valid_args())["job_name"]
    assert fact.value == valid_args().job_name
    assert fact.depends_on(JOB)
