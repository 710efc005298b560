"""The policy pack: the engine's protocol on one side, records and rules on the other."""

from typing import Any, cast

import pulumi_policy as crossguard
import pytest
from pulumi_policy.proxy import unknown_checking_proxy

from fastapi_platform_policy.catalog import RULES
from fastapi_platform_policy.pack import NOT_KNOWN_YET, Pack
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker
from fastapi_platform_policy.rule import Thresholds, Verdict, judge
from tests.policy.raw import GOOD, NOT_KNOWN, changed, program

OPTIONS = crossguard.PolicyResourceOptions(
    protect=False, ignore_changes=[], delete_before_replace=True, aliases=[],
    custom_timeouts=crossguard.PolicyCustomTimeouts(0.0, 0.0, 0.0), additional_secret_outputs=[],
)  # fmt: skip
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def as_engine(judged: Program) -> list[crossguard.PolicyResource]:
    """The same resources as the engine's policy protocol hands them over."""
    made = {
        record.urn: crossguard.PolicyResource(
            record.type, unknown_checking_proxy(_wire(record.inputs)), record.urn, record.name, OPTIONS,
            crossguard.PolicyProviderResource("pulumi:providers:kubernetes", {}, "provider", "cluster"), None, [], {},
        )
        for record in judged.records
    }  # fmt: skip
    for record in judged.records:
        made[record.urn].dependencies = [made[urn] for urn in record.dependencies]
    return list(made.values())


def _wire(value: Any) -> Any:
    if value is Marker.UNKNOWN:
        return UNKNOWN
    if isinstance(value, dict):
        return {key: _wire(child) for key, child in cast("dict[str, Any]", value).items()}
    return [_wire(child) for child in cast("list[Any]", value)] if isinstance(value, list) else value


def reports(pack: Pack, resources: list[crossguard.PolicyResource], **config: Any) -> list[tuple[str, str]]:
    """Policy and message of every violation that the pack reports."""
    found: list[tuple[str, str]] = []
    for policy in pack.policies():
        if isinstance(policy, crossguard.StackValidationPolicy):

            def report(message: str, urn: str | None = None, name: str = policy.name) -> None:
                found.append((name, message))

            stack_policy: Any = policy
            stack_policy.validate(crossguard.StackValidationArgs(resources, config), report)
    return found


def test_every_rule_is_a_policy_and_nothing_else_is_mandatory():
    policies = {policy.name: policy for policy in Pack().policies()}
    must = crossguard.EnforcementLevel.MANDATORY
    mandatory = {name for name, each in policies.items() if each.enforcement_level is must}
    assert mandatory == {rule.name for rule in RULES}
    assert set(policies) - mandatory == {"collect-inputs", NOT_KNOWN_YET}


@pytest.mark.parametrize("path", ["deployment.spec.replicas", "service.spec.type"])
def test_the_pack_says_what_the_preview_says(path: str):
    judged = program(changed(path, {"deployment.spec.replicas": 3, "service.spec.type": "NodePort"}[path]))
    violated = judge(judged, RULES, Thresholds()).having(Verdict.VIOLATED)
    said = [(name, message) for name, message in reports(Pack(), as_engine(judged)) if name != NOT_KNOWN_YET]
    assert said == [(each.rule.name, f"{each.answer.message}. {each.rule.fix}") for each in violated]


def test_what_nobody_knows_is_said_and_blocks_nothing():
    judged = program(changed("service.spec.type", NOT_KNOWN))
    said = reports(Pack(), as_engine(judged))
    assert (NOT_KNOWN_YET, "services-internal: its type is known only after the deployment") in said
    assert not [name for name, _ in said if name == "services-internal"]


def test_inputs_are_judged_and_not_what_the_cluster_added():
    """After a deploy a Deployment's outputs hold the replicas that the autoscaler set, not the program."""
    pack, resources = Pack(), as_engine(program(changed("deployment.spec.replicas", 3)))
    collect: Any = next(each for each in pack.policies() if isinstance(each, crossguard.ResourceValidationPolicy))
    for resource, declared in zip(resources, as_engine(program(GOOD)), strict=True):
        args = crossguard.ResourceValidationArgs(
            declared.resource_type, declared.props, resource.urn, resource.name, OPTIONS, None, None, None
        )
        collect.validate(args, print)
    assert not [name for name, _ in reports(pack, resources) if name == "replicas-owned-once"]


def test_what_a_secret_holds_is_hidden_again():
    """The protocol hands secrets over in clear."""
    secret = crossguard.PolicyResource(
        "kubernetes:core/v1:Secret", {"stringData": {"password": "hunter2"}}, "urn:pulumi:a::b::c::secret", "secret",
        OPTIONS, crossguard.PolicyProviderResource("p", {}, "p", "p"), None, [], {},
    )  # fmt: skip
    assert Pack().records([secret])[0].inputs == {"stringData": {"password": Marker.SECRET}}


def test_thresholds_come_from_the_packs_configuration():
    said = reports(Pack(), as_engine(program(GOOD)), minReplicas=3)
    assert [name for name, _ in said if name == "replicas-two-or-more"] == ["replicas-two-or-more"]
