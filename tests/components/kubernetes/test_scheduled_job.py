"""The scheduled job."""

from typing import Any

import pytest

from fastapi_platform import PlatformError, ScheduledJob, ScheduledJobArgs
from fastapi_platform_policy.record import Record
from tests.conftest import IMAGE, Recorder

CRON_JOB = "kubernetes:batch/v1:CronJob"


def valid_args(**overrides: Any) -> ScheduledJobArgs:
    arguments: dict[str, Any] = {
        "command": ("python", "-m", "app.cleanup"),
        "image": IMAGE,
        "job": "cleanup",
        "namespace": "orders",
        "schedule": "0 3 * * *",
        "service": "orders",
    }
    return ScheduledJobArgs(**arguments | overrides)


def cron_job(record: Recorder, **overrides: Any) -> Record:
    return record.one(CRON_JOB, ScheduledJob, valid_args(**overrides))


# shape


def test_a_schedule_and_what_its_pods_stand_on(record: Recorder):
    kinds = sorted(each.type.rpartition(":")[2] for each in record.all(ScheduledJob, valid_args()) if each.custom)
    assert kinds == ["ConfigMap", "CronJob", "NetworkPolicy", "ServiceAccount"]


# invariants


def test_two_runs_never_overlap(record: Recorder):
    assert cron_job(record).at("spec", "concurrencyPolicy") == "Forbid"


def test_a_run_ends_by_itself(record: Recorder):
    """With overlap forbidden, a run that hangs would keep every later one from starting."""
    assert cron_job(record, deadline_seconds=60).at("spec", "jobTemplate", "spec", "activeDeadlineSeconds") == 60


def test_a_failed_run_is_not_repeated_unless_it_may_be(record: Recorder):
    path = ("spec", "jobTemplate", "spec", "backoffLimit")
    assert cron_job(record).at(*path) == 0
    assert cron_job(record, retries=2).at(*path) == 2


def test_it_runs_when_it_was_told_to(record: Recorder):
    assert cron_job(record).at("spec", "schedule") == "0 3 * * *"


def test_a_run_that_is_late_is_skipped(record: Recorder):
    """After an outage of the cluster a night's job must not start at noon."""
    assert cron_job(record).at("spec", "startingDeadlineSeconds") == 300
    assert cron_job(record, start_window_seconds=60).at("spec", "startingDeadlineSeconds") == 60


def test_finished_runs_are_kept_for_their_logs(record: Recorder):
    found = cron_job(record, kept_runs=5)
    assert found.at("spec", "successfulJobsHistoryLimit") == 5
    assert found.at("spec", "failedJobsHistoryLimit") == 5


def test_a_run_that_is_ended_gets_its_time_before_the_kill(record: Recorder):
    found = cron_job(record, stop_timeout_seconds=45)
    assert found.at("spec", "jobTemplate", "spec", "template", "spec", "terminationGracePeriodSeconds") == 45


def test_the_clock_is_utc_unless_another_is_named(record: Recorder):
    assert cron_job(record).at("spec", "timeZone") == "Etc/UTC"
    assert cron_job(record, time_zone="Europe/Zurich").at("spec", "timeZone") == "Europe/Zurich"


def test_the_pod_is_restricted(record: Recorder):
    pod = ("spec", "jobTemplate", "spec", "template", "spec")
    assert cron_job(record).at(*pod, "securityContext", "runAsNonRoot") is True
    assert cron_job(record).at(*pod, "restartPolicy") == "Never"


# knobs


def test_a_schedule_can_be_suspended_without_being_deleted(record: Recorder):
    assert cron_job(record).at("spec", "suspend") is False
    assert cron_job(record, suspended=True).at("spec", "suspend") is True


# rejections


@pytest.mark.parametrize(
    "schedule", ["", "daily", "0 3 * *", "0 3 * * * *", "@reboot", "0 3 * * *; rm"]
)
def test_what_kubernetes_refuses_as_a_schedule_is_refused(schedule: str):
    with pytest.raises(PlatformError, match=r"ScheduledJobArgs\.schedule: got "):
        valid_args(schedule=schedule)


@pytest.mark.parametrize("schedule", ["*/5 * * * *", "0 3 1,15 * MON-FRI", "@daily", "0-30/10 * * jan *"])
def test_what_kubernetes_accepts_is_accepted(schedule: str):
    assert valid_args(schedule=schedule).schedule == schedule


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"command": ()}, "command"),
        ({"job": "Clean_up"}, "job"),
        ({"deadline_seconds": 9}, "deadline_seconds"),
        ({"start_window_seconds": 9}, "start_window_seconds"),
        ({"retries": 11}, "retries"),
        ({"kept_runs": 0}, "kept_runs"),
        ({"image": "orders"}, "image"),
        ({"service": ""}, "service"),
        ({"tmp_size": "-1"}, "tmp_size"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_exists(overrides: dict[str, Any], field: str):
    with pytest.raises(PlatformError, match=rf"ScheduledJobArgs\.{field}: got "):
        valid_args(**overrides)


# outputs


def test_the_longest_names_still_fit_a_cron_job(record: Recorder):
    """A CronJob's name may have 52 characters: its Jobs get eleven more."""
    name = cron_job(record, service="s" * 30, job="j" * 18).at("metadata", "name")
    assert isinstance(name, str)
    assert len(name) <= 52


def test_the_identity_is_known_for_bindings(record: Recorder):
    assert record.outputs(ScheduledJob, valid_args())["service_account"].value == "orders-schedule-cleanup"
