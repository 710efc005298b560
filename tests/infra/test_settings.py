"""Stack files: what they mean, and how each mistake in one is reported."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings import Settings, load, parse

from fastapi_platform import FastApiServiceArgs, Flow, MigrationJobArgs, Peer, PlatformError, SecretKey, Server
from fastapi_platform.kubernetes import postgres
from tests.conftest import DIGEST, STACKS, changed, stack_settings

ROOT = Path(__file__).parents[2]
GONE = "<gone>"
MESSAGE = re.compile(r"^[\w.\[\]-]+: got .+, want .+; .+\. .+$")


@pytest.fixture
def prod() -> dict[str, Any]:
    return stack_settings("prod")


def gate(settings: Settings) -> MigrationJobArgs:
    assert settings.migration is not None
    return settings.migration


def refused(settings: dict[str, Any]) -> list[str]:
    """The messages with which settings are refused, each of them in the platform's form."""
    with pytest.raises(PlatformError) as error:
        parse(settings)
    messages = str(error.value).splitlines()
    assert all(MESSAGE.match(message) for message in messages), messages
    return messages


@pytest.mark.parametrize("stack", STACKS)
def test_the_projects_own_stacks_are_accepted(stack: str):
    assert isinstance(parse(stack_settings(stack)).service, FastApiServiceArgs)


BAD: list[tuple[str, Any, str]] = [
    ("service.prot", 1, "service.prot: got an unknown key"),
    ("databse", {}, "databse: got an unknown key"),
    ("service.port", "eighty", "service.port: got eighty, want a whole number"),
    ("service.env", "x", "service.env: got text, want a mapping"),
    ("service.egress", {"a": 1}, "service.egress: got a mapping of 1, want a list"),
    ("deletion_protection", "perhaps", "deletion_protection: got perhaps, want true or false"),
    ("environment", "prod", "environment: got prod, want one of local, development or production"),
    ("service.image", f"registry.example/orders:1.2@{DIGEST[:-1]}", "service.image: got "),
    ("service.image", "registry.example/orders:1.2", "service.image: got registry.example/orders:1.2, want "),
    ("service.image", "registry.example/orders:latest", "service.image: got registry.example/orders:latest, want "),
    ("service.autoscaling", {"min_replicas": 5, "max_replicas": 3}, "service.autoscaling.max_replicas: got 3"),
    ("service.autoscaling.min_replicas", 1, "service.autoscaling.min_replicas: got 1, want 2 or more"),
    ("service.resources", {"memory": "256Mi", "memory_limit": "128Mi"}, "service.resources.memory_limit: got 128Mi"),
    ("service.probes.readiness_path", "/healthz/live", "service.probes.readiness_path: got /healthz/live"),
    ("service.request_timeout_seconds", 31, "service.request_timeout_seconds: got 31 seconds, want 30 seconds or"),
    ("edge.drain_seconds", 56, "edge.drain_seconds: got 56 seconds, want 55 seconds or fewer"),
    ("edge.idle_seconds", 620, "service.process.keep_alive_seconds: got 620 seconds, want more than 620"),
    ("edge.timeout_seconds", 20, "service.request_timeout_seconds: got 30 seconds, want 20 seconds or fewer"),
    ("service.metrics_port", 8000, "service.port: got 8000, want another port than metrics_port"),
    ("service.egress", [{"peer": {"cidr": "10.0.0.0/8"}, "ports": [443, 443]}], "service.egress[0].ports: got "),
    ("name", "o" * 80, "name: got " + "o" * 80),
    ("name", "Orders", "name: got Orders (6 characters), want a DNS label"),
    ("namespace", {"name": "Orders"}, "namespace.name: got Orders, want a DNS label"),
    ("namespace", "orders", "namespace: got orders, want a mapping"),
    ("service.env", {"STRIPE_TOKEN": "x"}, "service.env: got STRIPE_TOKEN in clear"),
    ("service.env", {"GREETING": "redis://:x@y"}, "service.env: got GREETING in clear"),
    ("service.secrets", {"KEY": {"name": "keys", "key": ""}}, "service.secrets.KEY.key: got nothing"),
    ("database.kind", "cloud_sql", "database.kind: got cloud_sql, want one of in_cluster, external"),
    ("database", {"network": "10.0.0.0/8"}, "database.kind: got nothing"),
    ("database.network", "10.0.0.1/8", "database.network: got 10.0.0.1/8"),
    ("database.port", 0, "database.port: got 0"),
    ("edge.kind", "gateway", "edge.kind: got gateway, want one of none, external"),
    ("cluster", {"kind": "existing"}, "cluster.context: got nothing, want a value"),
    ("workers", {"emails": {}}, "workers.emails.command: got nothing, want a value"),
    ("workers", {"E": {"command": ["x"]}}, "workers.E: got E (1 characters), want a DNS label"),
    ("schedules", {"daily": {"command": ["x"], "schedule": "daily"}}, "schedules.daily.schedule: got daily"),
    ("cluster.context", "", "cluster.context: got nothing, want"),
    ("service.process.workers", True, "service.process.workers: got true or false, want a whole number"),
    ("workers", {"w": {"command": ["w"], "replicas": True}}, "workers.w.replicas: got true or false, want a whole"),
    ("database.network", "0.0.0.0/0", "database.network: got 0.0.0.0/0, want a network such as 10.20.0.0/28"),
    ("migrations.deadline_seconds", 1, "migrations.deadline_seconds: got 1, want 10 seconds or more"),
    ("service.process.server", "hypercorn", "service.process.server: got hypercorn, want one of runtime, uvicorn"),
    ("service.process.trusted_proxies", ["*"], "service.process.trusted_proxies: got "),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD)
def test_one_mistake_is_one_clear_message(prod: dict[str, Any], path: str, value: Any, message: str):
    messages = refused(changed(prod, path, value))
    assert [each for each in messages if each.startswith(message)], messages
    assert len(messages) == 1, messages


@pytest.mark.parametrize(("wrong", "meant"), [("prot", "port"), ("resource", "resources"), ("sekrets", "secrets")])
def test_an_unknown_key_is_answered_with_the_nearest_known_one(prod: dict[str, Any], wrong: str, meant: str):
    assert refused(changed(prod, f"service.{wrong}", 1))[0].endswith(f"Did you mean {meant}?")


def test_the_keys_of_a_kind_are_told_not_those_of_its_sibling(prod: dict[str, Any]):
    """`storage` belongs to a database in the cluster, and this one is external."""
    message = refused(changed(prod, "database.storage", "1Gi"))[0]
    assert "want one of direct_network, direct_port, direct_secret, kind, network, port, secret;" in message


def test_all_mistakes_of_all_sections_are_reported_at_once(prod: dict[str, Any]):
    """A wrong shape in one place must not hide a wrong value in another, nor in the same section."""
    bad = changed(prod, "service.port", "eighty")
    bad = changed(bad, "service.image", "orders:latest")
    bad = changed(bad, "edge.kind", "gateway")
    bad = changed(bad, "workers", {"bad": {}, "E": {"command": ["x"]}})
    bad = changed(bad, "typo", 1)
    owners = [message.partition(":")[0] for message in refused(bad)]
    assert sorted(owners) == ["edge.kind", "service.image", "service.port", "typo", "workers.E", "workers.bad.command"]


def test_a_mistake_of_the_service_is_not_repeated_for_each_worker(prod: dict[str, Any]):
    bad = changed(prod, "service.env", {"API_TOKEN": "x"})
    assert len(refused(changed(bad, "workers", {"emails": {"command": ["x"]}}))) == 1


@pytest.mark.parametrize("section", sorted(set(stack_settings("prod")) - {"environment"}))
@pytest.mark.parametrize("value", [["oops"], GONE], ids=["a list", "missing"])
def test_a_stand_in_causes_no_problem_of_its_own(prod: dict[str, Any], section: str, value: object):
    """Production is the strictest: what is put in a section's place there must pass."""
    bad = {key: kept for key, kept in prod.items() if key != section} | ({} if value == GONE else {section: value})
    if value != GONE or section in ("cluster", "database", "deletion_protection", "edge", "name", "service"):
        assert [message.partition(":")[0] for message in refused(bad)] == [section]


def test_nothing_at_all_is_refused_key_by_key():
    required = ["cluster", "database", "deletion_protection", "edge", "environment", "name", "service"]
    assert [message.partition(":")[0] for message in refused({})] == required


@given(st.text(min_size=1).filter(lambda key: key.isidentifier() and key not in FastApiServiceArgs.__slots__))
def test_an_unknown_key_is_always_refused(key: str):
    """Property: no spelling of an unknown key slips through; a key that nobody reads changes nothing."""
    with pytest.raises(PlatformError, match="an unknown key"):
        parse(changed(stack_settings("local"), f"service.{key}", 1))


DSN = "postgresql://a:hunter2@b"
MISPLACED: list[tuple[str, Any, str]] = [
    ("service.env", {"DB_PASSWORD": DSN}, "service.env: got DB_PASSWORD in clear"),
    ("service.image", DSN, "service.image: got [secret]"),
    ("database.kind", DSN, "database.kind: got [secret]"),
    (DSN, 1, "[secret]: got an unknown key"),
    ("service.secrets.DB_PASSWORD", DSN, "service.secrets.DB_PASSWORD: got text"),
    ("service.secrets", ["hunter2"], "service.secrets: got a list of 1"),
    ("service.env", [{"name": "API_TOKEN", "value": "hunter2"}], "service.env: got a list of 1"),
    ("service.env", "API_TOKEN=hunter2", "service.env: got text"),
    ("service.env", {"KEY": ["hunter2"]}, "service.env.KEY: got a list of 1"),
    ("service.env", {"KEY": 2}, "service.env.KEY: got a number"),
    ("migrations.env", "PGPASSWORD=hunter2", "migrations.env: got text"),
    ("migrations.command", "migrate --token hunter2", "migrations.command: got text"),
    ("migrations.command", [["hunter2"]], "migrations.command[0]: got a list of 1"),
    ("workers", [{"env": {"API_TOKEN": "hunter2"}}], "workers: got a list of 1"),
    ("workers", {"emails": "API_TOKEN=hunter2"}, "workers.emails: got text"),
    ("workers", {"emails": {"command": "w hunter2"}}, "workers.emails.command: got text"),
    ("service.tmp_size", {"hunter2": "hunter2"}, "service.tmp_size: got a mapping of 1"),
    ("service", '{"env": {"API_TOKEN": "hunter2"', "service: got text"),
]


@pytest.mark.parametrize(("path", "value", "message"), MISPLACED, ids=[f"{each[0]} {each[2]}" for each in MISPLACED])
def test_a_credential_in_the_wrong_place_is_not_repeated(prod: dict[str, Any], path: str, value: Any, message: str):
    messages = refused(changed(prod, path, value))
    assert [each for each in messages if each.startswith(message)], messages
    assert "hunter2" not in "".join(messages)


def test_a_group_may_be_stated_in_part(prod: dict[str, Any]):
    """What a stack file does not state keeps the component's default, also inside a group."""
    probes = parse(changed(prod, "service.probes", {"startup": {"failure_threshold": 90}})).service.probes
    assert (probes.startup.failure_threshold, probes.startup.period_seconds) == (90, 2)
    assert probes.liveness == FastApiServiceArgs(image=f"x@{DIGEST}", namespace="n", service="s").probes.liveness


def test_workers_and_schedules_run_the_services_release_with_its_settings(prod: dict[str, Any]):
    settings = changed(prod, "service.env", {"LOG_LEVEL": "info", "REGION": "eu"})
    settings = changed(settings, "workers", {"emails": {"command": ["w"], "env": {"LOG_LEVEL": "debug"}}})
    parsed = parse(changed(settings, "schedules", {"cleanup": {"command": ["c"], "schedule": "@daily"}}))
    assert parsed.workers["emails"].env == {"LOG_LEVEL": "debug", "REGION": "eu"}
    assert parsed.schedules["cleanup"].image == parsed.service.image == gate(parsed).image
    assert parsed.workers["emails"].secrets["DATABASE_URL"] == SecretKey("orders-database", "direct")


def test_the_migration_gets_the_direct_address_and_the_service_the_other(prod: dict[str, Any]):
    parsed = parse(changed(prod, "database.secret", {"name": "orders-database", "key": "pooled"}))
    assert gate(parsed).direct_database.key == "direct"
    assert parsed.service.secrets["DATABASE_URL"].key == "pooled"


def test_behind_a_pooler_each_may_reach_what_its_address_leads_to(prod: dict[str, Any]):
    """A migration that may reach the pooler alone waits for its deadline."""
    bad = changed(changed(prod, "database.port", 6432), "database.network", "10.30.0.0/28")
    parsed = parse(changed(changed(bad, "database.direct_port", 5432), "database.direct_network", "10.20.0.0/28"))
    assert (parsed.service.egress[-1].peer.cidr, parsed.service.egress[-1].ports) == ("10.30.0.0/28", (6432,))
    assert [(flow.peer.cidr, flow.ports) for flow in gate(parsed).egress] == [("10.20.0.0/28", (5432,))]


def test_all_pods_run_where_the_service_does_unless_told_otherwise(prod: dict[str, Any]):
    settings = changed(prod, "service.placement", {"image_pull_secrets": ["registry"]})
    settings = changed(settings, "schedules", {"cleanup": {"command": ["c"], "schedule": "@daily"}})
    settings = changed(settings, "workers", {"emails": {"command": ["w"], "placement": {"priority_class": "low"}}})
    parsed = parse(settings)
    for same in (gate(parsed), parsed.schedules["cleanup"]):
        assert same.placement == parsed.service.placement
    assert parsed.workers["emails"].placement.priority_class == "low"


def test_the_database_is_the_only_thing_that_everything_may_reach(prod: dict[str, Any]):
    parsed = parse(changed(prod, "service.egress", []))
    assert [(flow.peer.cidr, flow.ports) for flow in parsed.service.egress] == [("10.20.0.0/28", (5432,))]
    assert gate(parsed).egress == parsed.service.egress


def test_flows_add_up(prod: dict[str, Any]):
    """What everything of the service reaches, the database, and what one part of it reaches besides."""
    cache, mail = ({"peer": {"pod_labels": {"app": app}}, "ports": [port]} for app, port in (("c", 6379), ("m", 587)))
    settings = changed(prod, "service.egress", [cache])
    settings = changed(settings, "workers", {"emails": {"command": ["w"], "egress": [cache, mail]}})
    parsed = parse(changed(settings, "migrations.egress", [mail]))
    reached = {
        "service": parsed.service.egress, "worker": parsed.workers["emails"].egress, "gate": gate(parsed).egress,
    }
    assert {name: [flow.ports[0] for flow in flows] for name, flows in reached.items()} == {
        "service": [6379, 5432], "worker": [6379, 5432, 587], "gate": [587, 5432],
    }


def test_secrets_add_up(prod: dict[str, Any]):
    settings = changed(prod, "service.secrets", {"API_KEY": {"name": "keys", "key": "api"}})
    worker = {"command": ["w"], "secrets": {"MAIL_KEY": {"name": "keys", "key": "mail"}}}
    parsed = parse(changed(settings, "workers", {"emails": worker}))
    assert set(parsed.service.secrets) == {"DATABASE_URL", "API_KEY"}
    assert parsed.workers["emails"].secrets == {
        **parsed.service.secrets, "MAIL_KEY": SecretKey("keys", "mail"),
    }


def test_another_port_of_the_database_is_the_one_that_is_open(prod: dict[str, Any]):
    parsed = parse(changed(prod, "database.port", 6432))
    assert parsed.service.egress[-1].ports == gate(parsed).egress[-1].ports == (6432,)


def test_a_database_in_the_cluster_is_reached_by_its_labels_and_no_other_pod():
    flow = Flow(peer=Peer(pod_labels=postgres.selector("orders")), ports=(5432,))
    parsed = parse(stack_settings("local"))
    assert parsed.service.egress == gate(parsed).egress == (flow,)


@pytest.mark.parametrize("stack", STACKS)
def test_every_part_makes_the_promise_of_its_stack(stack: str):
    settings = changed(stack_settings(stack), "workers", {"emails": {"command": ["w"]}})
    parsed = parse(changed(settings, "schedules", {"cleanup": {"command": ["c"], "schedule": "@daily"}}))
    parts = (parsed.service, gate(parsed), parsed.namespace, *parsed.workers.values(), *parsed.schedules.values())
    assert {part.environment.value for part in parts} == {settings["environment"]}


@pytest.mark.parametrize(("text", "protected"), [("true", True), ("false", False), (True, True)])
def test_a_boolean_may_be_text_because_pulumi_writes_it_so(prod: dict[str, Any], text: object, protected: bool):
    assert parse(changed(prod, "deletion_protection", text)).namespace.deletion_protection is protected


def test_the_program_reads_what_pulumi_hands_over(record: Any):
    seen: list[Server] = []

    def program() -> None:
        seen.append(load().service.process.server)

    settings = changed(stack_settings("dev"), "service.process.server", "gunicorn").items()
    texts = {f"tests:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in settings}
    record.recording(program, config=texts)
    assert seen == [Server.GUNICORN]


def test_a_text_that_begins_like_json_is_refused_as_a_text_with_everything_else(record: Any):
    """It was a traceback, and hid every other mistake."""
    texts = {f"tests:{key}": value if isinstance(value, str) else json.dumps(value)
             for key, value in changed(stack_settings("dev"), "service.port", 1).items()}
    with pytest.raises(PlatformError) as error:
        record.recording(load, config=texts | {"tests:name": "[oops", "tests:edge": '{"kind": "none"'})
    edge, name, port = sorted(str(error.value).splitlines())
    assert edge.startswith("edge: got text, want a mapping; ")
    assert port.startswith("service.port: got 1, want ")
    assert name.startswith("name: got [oops (5 characters), want a DNS label")


def test_an_encrypted_setting_is_refused_without_its_value(record: Any):
    """Settings reach pod specs; a secret among them would be readable by everybody who may read the namespace."""
    texts = {"tests:service": '{"env": {"KEY": "[secret]"}}'}
    with pytest.raises(PlatformError, match=r"^service: got an encrypted value, want a plain value"):
        record.recording(load, config=texts, secret_keys=["tests:service"])
