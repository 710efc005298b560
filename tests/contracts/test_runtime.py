"""What the platform writes as a container's command, the runtime understands."""

import pytest

from fastapi_platform.planning import process
from fastapi_platform.planning.probes import Probes
from fastapi_platform.planning.process import ProcessModel, Server
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import at, mapping, text
from fastapi_platform_runtime import health, migrate, serve
from tests.conftest import STACKS


def understood(model: ProcessModel, port: int = 8000) -> dict[str, object]:
    python, minus_m, module, *words = process.command(model, port)
    assert (python, minus_m, module) == ("python", "-m", serve.__name__)
    return vars(serve.parser().parse_args(words))


MODELS = (
    ProcessModel(server=Server.RUNTIME),
    ProcessModel(
        server=Server.RUNTIME, app="shop:app", backlog=64, concurrency_limit=9, factory=False, workers=3,
        graceful_timeout_seconds=7, keep_alive_seconds=8, lame_duck_seconds=0, trusted_proxies=("10.0.0.0/8", "::1"),
    ),
    ProcessModel(server=Server.RUNTIME, workers=64, backlog=65535),
)


@pytest.mark.parametrize("model", MODELS)
def test_the_runtime_understands_the_command_as_it_was_meant(model: ProcessModel):
    assert understood(model, 8123) == {
        "app": model.app,
        "backlog": model.backlog,
        "factory": model.factory,
        "forwarded_allow_ips": ",".join(model.trusted_proxies) or None,
        "host": "0.0.0.0",
        "lame_duck": model.lame_duck_seconds,
        "limit_concurrency": model.concurrency_limit,
        "port": 8123,
        "proxy_headers": bool(model.trusted_proxies),
        "server_header": False,
        "timeout_graceful_shutdown": model.graceful_timeout_seconds,
        "timeout_keep_alive": model.keep_alive_seconds,
        "workers": model.workers,
    }


def test_an_option_left_out_means_what_it_means_to_the_platform():
    """A figure typed by hand beside the platform's must not change another one."""
    platform = understood(ProcessModel(server=Server.RUNTIME))
    by_hand = vars(serve.parser().parse_args([ProcessModel().app, "--factory"]))
    assert {name for name, value in by_hand.items() if value != platform[name]} == {"host"}


@pytest.mark.parametrize("stack", STACKS)
def test_the_migration_runner_gives_up_before_its_job_is_ended(
    stack: str, recorded_stacks: dict[str, Program], monkeypatch: pytest.MonkeyPatch
):
    """Ended by Kubernetes, it says neither what it waited for, nor that it rolled back."""
    program = recorded_stacks[stack]
    (job,) = program.of_kind("Job")
    container = at(job.at("spec", "template", "spec", "containers"), 0)
    assert at(container, "command", 2) == migrate.__name__
    from_ = at(container, "envFrom", 0, "configMapRef", "name")
    (settings,) = (each for each in program.of_kind("ConfigMap") if each.at("metadata", "name") == from_)
    for name, value in mapping(settings.at("data")).items():
        monkeypatch.setenv(name, text(value))
    ends_seconds = job.at("spec", "activeDeadlineSeconds")
    assert isinstance(ends_seconds, int | float)
    assert ends_seconds - migrate.parser().parse_args([]).deadline >= 60


def test_probes_are_answered_where_the_platform_asks_and_in_time():
    probes, answered = Probes(), (health.LIVE_PATH, health.READY_PATH)
    assert answered == (probes.liveness_path, probes.readiness_path)
    assert probes.readiness.timeout_seconds > health.DEFAULT_TIMEOUT_SECONDS
