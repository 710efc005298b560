"""Every rule, on programs of raw resources: the good one complies, and each bad one is caught by the rule it breaks."""

from copy import deepcopy
from typing import Any

import pytest

from fastapi_platform.planning.environment import Environment
from fastapi_platform_policy.catalog import RULES
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.rule import Answer, Rule, Thresholds, Verdict, judge
from tests.policy.raw import GONE, GOOD, LABELS, NOT_KNOWN, SECRET, changed, program

POD = "deployment.spec.template.spec"
API = f"{POD}.containers.0"
JOB = "migration.spec.template.spec"


def rule(name: str) -> Rule:
    return next(each for each in RULES if each.name == name)


def answers(name: str, judged: Program, verdict: Verdict) -> list[Answer]:
    return [each.answer for each in judge(judged, (rule(name),), Thresholds()).having(verdict)]


def test_the_good_program_violates_nothing():
    judgement = judge(program(GOOD), RULES, Thresholds())
    assert [(each.rule.name, each.answer.message) for each in judgement.having(Verdict.VIOLATED)] == []
    assert [(each.rule.name, each.answer.message) for each in judgement.having(Verdict.UNKNOWN)] == []


def test_every_rule_has_something_to_say_about_the_good_program():
    """A rule that applies to nothing would pass for ever."""
    spoken = {each.rule.name for each in judge(program(GOOD), RULES, Thresholds()).findings}
    assert spoken == {each.name for each in RULES}


BAD: list[tuple[str, str, Any, str]] = [
    ("selectors-pick-one-workload", "service.spec.selector", {"app": "other"}, "picks no pod"),
    ("selectors-pick-one-workload", "migration.spec.template.metadata.labels", LABELS, "which end by themselves"),
    ("selectors-pick-one-workload", "budget.spec.selector", {"matchExpressions": [
        {"key": "app.kubernetes.io/component", "operator": "Exists"}]}, "which end by themselves"),
    ("selectors-pick-one-workload", "policy.spec", {"podSelector": {"matchLabels": {"a": "b"}}}, "picks no pod"),
    ("selectors-pick-one-workload", "policy.spec.ingress", [{}], "opens ingress to the pods of Job shop-migrate too"),
    ("selectors-pick-one-workload", "policy.spec", {"podSelector": {}, "ingress": [{}]}, "opens ingress to"),
    ("selectors-pick-one-workload", "policy.spec.ingress", [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}],
     "opens ingress to the pods of Job shop-migrate too"),
    ("selectors-pick-one-workload", "policy.spec.egress", [{}], "opens egress to anywhere to the pods of Job"),
    ("selectors-pick-one-workload", "policy.spec.egress", [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}], "anywhere"),
    ("selectors-pick-one-workload", "policy.spec.egress", [{"ports": [{"port": 53, "endPort": 99}]}], "anywhere"),
    ("selectors-pick-one-workload", "policy.spec.egress", [{"ports": [{"port": 53}, {"port": 80}]}], "anywhere"),
    ("selectors-without-version", "deployment.spec.selector.matchLabels.app\\.kubernetes\\.io/version", "1", "version"),
    ("selectors-without-version", "service.spec.selector.version", "1", "names version"),
    ("probes-on-their-own-terms", f"{API}.startupProbe", GONE, "no startupProbe"),
    ("probes-on-their-own-terms", f"{API}.livenessProbe.httpGet.path", "/ready", "asks /ready for readiness and"),
    ("drain-budget-holds", f"{API}.lifecycle", GONE, "no preStop pause"),
    ("drain-budget-holds", f"{POD}.terminationGracePeriodSeconds", 29, "29 >= 5 + 0 + 20 + 5 = 30"),
    ("drain-budget-holds", f"{API}.lifecycle.preStop.sleep.seconds", 4, "4 + 0 = 4 >= 5"),
    ("drain-budget-holds", f"{API}.command", ["uvicorn", "shop:app"], "no graceful timeout"),
    ("drain-budget-holds", f"{API}.command", ["gunicorn", "shop:app", "--graceful-timeout", "19"], "19 >= 20"),
    ("replicas-two-or-more", "autoscaler.spec.minReplicas", 1, "may run on 1 pod"),
    ("replicas-two-or-more", "autoscaler.spec.minReplicas", GONE, "may run on 1 pod"),
    ("replicas-owned-once", "deployment.spec.replicas", 3, "states replicas too"),
    ("replicas-owned-once", "autoscaler.spec.maxReplicas", 2, "no room"),
    ("replicas-owned-once", "autoscaler.spec.metrics", GONE, "no metric"),
    ("replicas-owned-once", "autoscaler.spec.scaleTargetRef.name", "other", "names no workload"),
    ("disruption-budget-present", "budget", GONE, "no PodDisruptionBudget"),
    ("disruption-budget-present", "budget.spec.maxUnavailable", 0, "allows no eviction"),
    ("disruption-budget-present", "budget.spec.maxUnavailable", "100%", "all pods to go at once"),
    ("disruption-budget-present", "budget.spec.minAvailable", 2, "not below the fewest pods"),
    ("disruption-budget-present", "budget.spec.unhealthyPodEvictionPolicy", GONE, "not AlwaysAllow"),
    ("traffic-declared", "policy", GONE, "denies its ingress"),
    ("traffic-declared", "policy.spec.policyTypes", ["Ingress"], "denies its egress"),
    ("traffic-declared", "policy.spec.policyTypes", ["Egress"], "denies its ingress"),
    ("traffic-declared", "policy.spec.policyTypes", GONE, "denies its egress"),
    ("traffic-declared", "policy.spec", {"podSelector": {}, "policyTypes": [], "egress": []}, "denies its egress"),
    ("services-internal", "service.spec.type", "LoadBalancer", "type LoadBalancer"),
    ("services-internal", "service.spec.type", "NodePort", "type NodePort"),
    ("services-internal", "service.spec.externalIPs", ["203.0.113.1"], "externalIPs"),
    ("pods-restricted", f"{POD}.securityContext.runAsNonRoot", GONE, "runAsNonRoot"),
    ("pods-restricted", f"{POD}.securityContext.seccompProfile", GONE, "seccompProfile"),
    ("pods-restricted", f"{POD}.securityContext.runAsUser", 0, "runAsUser is 0"),
    ("pods-restricted", f"{POD}.hostNetwork", True, "hostNetwork"),
    ("pods-restricted", f"{POD}.volumes.0", {"name": "x", "hostPath": {"path": "/"}}, "volume x is a hostPath"),
    ("pods-restricted", f"{API}.securityContext.privileged", True, "privileged"),
    ("pods-restricted", f"{API}.securityContext.allowPrivilegeEscalation", GONE, "allowPrivilegeEscalation"),
    ("pods-restricted", f"{API}.securityContext.capabilities", {}, "capabilities.drop"),
    ("pods-restricted", f"{API}.securityContext.capabilities.add", ["SYS_ADMIN"], "capabilities.add"),
    ("pods-restricted", f"{API}.securityContext.runAsNonRoot", False, "runAsNonRoot"),
    ("root-filesystem-read-only", f"{API}.securityContext.readOnlyRootFilesystem", GONE, "readOnlyRootFilesystem"),
    ("root-filesystem-read-only", f"{POD}.volumes.0.emptyDir", {}, "no sizeLimit"),
    ("resources-sized", f"{API}.resources.requests.cpu", GONE, "requests.cpu is missing"),
    ("resources-sized", f"{API}.resources.limits.memory", GONE, "limits.memory is missing"),
    ("resources-sized", f"{API}.resources.limits.memory", "127Mi", "below the request"),
    ("resources-sized", f"{JOB}.containers.0.resources", GONE, "requests.cpu is missing"),
    ("identity-per-workload", f"{POD}.serviceAccountName", GONE, "default service account"),
    ("identity-per-workload", f"{POD}.automountServiceAccountToken", GONE, "automountServiceAccountToken"),
    ("migration-before-rollout", f"{JOB}.containers.0.image", "registry.example/shop:old", "runs another image"),
    ("migration-recoverable", "migration.spec.activeDeadlineSeconds", GONE, "may hang for ever"),
    ("migration-recoverable", "migration.spec.activeDeadlineSeconds", 600, "Pulumi stops waiting after 600 s"),
    ("migration-recoverable", "migration.spec.ttlSecondsAfterFinished", 60, "ttlSecondsAfterFinished"),
    ("migration-recoverable", "migration.spec.podFailurePolicy", {"rules": []}, "podFailurePolicy"),
    ("migration-recoverable", "migration.metadata.annotations.pulumi\\.com/skipAwait", "true", "takes the gate away"),
    ("migration-recoverable", "migration.metadata.annotations", {}, "replaceUnready"),
    ("migration-recoverable", f"{JOB}.restartPolicy", "OnFailure", "restartPolicy is not Never"),
    ("migration-address-direct", f"{JOB}.containers.0.env.0.valueFrom.secretKeyRef.key", "pooled", "leads to a pooler"),
    ("migration-address-direct", f"{JOB}.containers.0.env.0", {"name": "DATABASE_HOST", "value": "db-pool:6432"},
     "leads to a pooler"),
    ("images-by-digest", f"{API}.image", "registry.example/shop:1.2", "want registry.example/shop@sha256"),
    ("images-by-digest", f"{API}.image", "registry.example/shop", "a tag could be moved"),
    ("secrets-not-in-clear", f"{API}.env.0", {"name": "DATABASE_URL", "value": "x"}, "looks like a credential"),
    ("secrets-not-in-clear", f"{API}.env.0", {"name": "DATABASE_URL", "value": NOT_KNOWN}, "looks like a credential"),
    ("secrets-not-in-clear", f"{API}.env.0", {"name": "GREETING", "value": SECRET}, "ends up in the pod's spec"),
    ("secrets-not-in-clear", "config.data.GREETING", "postgresql://a:b@c/d", "data.GREETING looks like"),
    ("secrets-not-in-clear", "config.data.file", "A=1\nAPI_TOKEN=hunter2\n", "data.file looks like"),
    ("secrets-not-in-clear", "config.data.file", "db:\n  password: hunter2\n", "data.file looks like"),
    ("secrets-not-in-clear", f"{API}.args", ["--password=hunter2"], "args of container api holds what looks like"),
    ("secrets-not-in-clear", f"{API}.args", ["--password", "hunter2"], "args of container api holds what looks like"),
    ("secrets-not-in-clear", f"{API}.args", ["--key", SECRET], "args of container api holds a secret"),
]


@pytest.mark.parametrize(("name", "path", "value", "message"), BAD, ids=[f"{each[0]}-{each[1]}" for each in BAD])
def test_a_bad_program_is_caught(name: str, path: str, value: Any, message: str):
    found = answers(name, program(changed(path, value)), Verdict.VIOLATED)
    assert any(message in answer.message for answer in found), [answer.message for answer in found]


def test_every_rule_is_broken_by_some_bad_program():
    assert {each[0] for each in BAD} == {each.name for each in RULES}


def test_a_deployment_that_does_not_wait_for_its_migration_is_caught():
    found = answers("migration-before-rollout", program(GOOD, gate=False), Verdict.VIOLATED)
    assert [answer.message for answer in found] == ["it does not wait for Job shop-migrate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"replace_on_changes": []}, "replaceOnChanges"), ({"delete_before_replace": False}, "deleteBeforeReplace")],
)
def test_a_migration_that_blocks_the_next_deploy_is_caught(options: dict[str, Any], message: str):
    found = answers("migration-recoverable", program(GOOD, **options), Verdict.VIOLATED)
    assert [message in answer.message for answer in found] == [True]


UNKNOWN: list[tuple[str, str, Any]] = [
    ("selectors-pick-one-workload", "service.spec.selector", NOT_KNOWN),
    ("selectors-pick-one-workload", "deployment.spec.template.metadata.labels.app\\.kubernetes\\.io/name", NOT_KNOWN),
    ("selectors-without-version", "service.spec.selector", NOT_KNOWN),
    ("probes-on-their-own-terms", f"{API}.livenessProbe", NOT_KNOWN),
    ("drain-budget-holds", f"{API}.command", GONE),
    ("drain-budget-holds", f"{API}.lifecycle.preStop", {"exec": {"command": ["sleep", "5"]}}),
    ("drain-budget-holds", f"{POD}.terminationGracePeriodSeconds", NOT_KNOWN),
    ("drain-budget-holds", "deployment.metadata.annotations", GONE),
    ("replicas-two-or-more", "autoscaler.spec.minReplicas", NOT_KNOWN),
    ("disruption-budget-present", "budget.spec.selector", NOT_KNOWN),
    ("traffic-declared", "policy.spec.podSelector", NOT_KNOWN),
    ("traffic-declared", "policy.spec.policyTypes", NOT_KNOWN),
    ("traffic-declared", "policy.spec.policyTypes", ["Ingress", NOT_KNOWN]),
    ("traffic-declared", "policy.spec", {"podSelector": {}, "egress": NOT_KNOWN}),
    ("selectors-pick-one-workload", "policy.spec.ingress", NOT_KNOWN),
    ("selectors-pick-one-workload", "policy.spec.egress", [{"to": NOT_KNOWN}]),
    ("selectors-pick-one-workload", "policy.spec.egress", [{"to": [{"ipBlock": {"cidr": NOT_KNOWN}}]}]),
    ("selectors-pick-one-workload", "policy.spec", {
        "podSelector": {}, "ingress": [{}], "policyTypes": ["Egress", NOT_KNOWN]}),
    ("services-internal", "service.spec.type", NOT_KNOWN),
    ("pods-restricted", f"{API}.securityContext", NOT_KNOWN),
    ("root-filesystem-read-only", f"{API}.securityContext", NOT_KNOWN),
    ("resources-sized", f"{API}.resources", NOT_KNOWN),
    ("identity-per-workload", f"{POD}.serviceAccountName", NOT_KNOWN),
    ("migration-before-rollout", "migration", GONE),
    ("migration-recoverable", "migration.metadata.annotations.pulumi\\.com/replaceUnready", NOT_KNOWN),
    ("replicas-owned-once", "autoscaler.spec.maxReplicas", NOT_KNOWN),
    ("disruption-budget-present", "budget.spec.unhealthyPodEvictionPolicy", NOT_KNOWN),
    ("root-filesystem-read-only", f"{API}.securityContext.readOnlyRootFilesystem", NOT_KNOWN),
    ("pods-restricted", f"{API}.securityContext.allowPrivilegeEscalation", NOT_KNOWN),
    ("pods-restricted", f"{POD}.securityContext", NOT_KNOWN),
    ("identity-per-workload", f"{POD}.automountServiceAccountToken", NOT_KNOWN),
    ("migration-address-direct", f"{JOB}.containers.0.env", GONE),
    ("migration-address-direct", f"{JOB}.containers.0.env.0", {"name": "DATABASE_HOST", "value": NOT_KNOWN}),
    ("images-by-digest", f"{API}.image", NOT_KNOWN),
]


@pytest.mark.parametrize(("name", "path", "value"), UNKNOWN, ids=[f"{each[0]}-{each[1]}" for each in UNKNOWN])
def test_what_is_not_known_is_neither_a_pass_nor_a_violation(name: str, path: str, value: Any):
    """A rule that passes an unknown value approves whatever the deployment makes of it."""
    judged = program(changed(path, value))
    assert answers(name, judged, Verdict.UNKNOWN)
    assert not answers(name, judged, Verdict.VIOLATED)


DNS: dict[str, Any] = {
    "to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}, {"port": "dns-tcp"}],
}  # fmt: skip
HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("deny everything", {}),
    ("DNS", {"policyTypes": ["Egress"], "egress": [DNS]}),
    ("DNS of any server", {"egress": [{"ports": [{"port": 53}]}]}),
    ("DNS and the database", {"egress": [DNS, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 1}]}]}),
    ("ingress that its types leave out", {"policyTypes": ["Egress"], "ingress": [{}]}),
    ("egress that its types leave out", {"policyTypes": ["Ingress"], "egress": [{}]}),
]


@pytest.mark.parametrize(("name", "spec"), HARMLESS, ids=[each[0] for each in HARMLESS])
def test_a_policy_for_a_whole_namespace_may_deny_and_may_allow_named_peers(name: str, spec: dict[str, Any]):
    """The DNS policy that every hardening guide asks for was called a way into the migration."""
    judged = program(changed("policy.spec", {"podSelector": {}, **spec}))
    assert not answers("selectors-pick-one-workload", judged, Verdict.VIOLATED)
    assert not answers("selectors-pick-one-workload", judged, Verdict.UNKNOWN)


@pytest.mark.parametrize("spec", [{"egress": [DNS]}, {"policyTypes": [], "egress": [DNS]}])
def test_a_policy_without_types_denies_what_kubernetes_makes_it_deny(spec: dict[str, Any]):
    judged = program(changed("policy.spec", {"podSelector": {}, **spec}))
    assert not answers("traffic-declared", judged, Verdict.VIOLATED)


SIDECAR: dict[str, Any] = {"name": "proxy", "image": "registry.example/proxy:1", "ports": [{"containerPort": 9}]}
PROBED: dict[str, Any] = {"readinessProbe": {"httpGet": {"path": "/"}}, "lifecycle": {"preStop": {"sleep": {}}}}


@pytest.mark.parametrize("sidecar", [SIDECAR, SIDECAR | PROBED], ids=["silent", "asked"])
def test_the_budget_is_that_of_the_container_that_serves(sidecar: dict[str, Any]):
    """A mesh puts its proxy first; the server beside it is what drains."""
    bodies = deepcopy(GOOD)
    bodies["deployment"]["spec"]["template"]["spec"]["containers"].insert(0, sidecar)
    assert answers("drain-budget-holds", program(bodies), Verdict.COMPLIANT)
    bodies["deployment"]["spec"]["template"]["spec"]["containers"][1].pop("lifecycle")
    assert "container api has no preStop" in answers("drain-budget-holds", program(bodies), Verdict.VIOLATED)[0].message


def test_of_two_containers_that_both_may_serve_neither_is_guessed():
    bodies = deepcopy(GOOD)
    containers = bodies["deployment"]["spec"]["template"]["spec"]["containers"]
    containers[0].pop("command")
    containers.append(containers[0] | {"name": "other"})
    found = answers("drain-budget-holds", program(bodies), Verdict.UNKNOWN)
    assert [answer.message for answer in found] == ["which of its containers serves cannot be told from here"]


def test_a_local_workload_may_run_a_tag_on_one_pod():
    relaxed = changed("deployment.metadata.labels", {"fastapi-platform/environment": Environment.LOCAL.value})
    relaxed["deployment"]["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/shop:dev"
    relaxed["autoscaler"]["spec"]["minReplicas"] = 1
    judged = program(relaxed)
    assert not answers("replicas-two-or-more", judged, Verdict.VIOLATED)
    assert not [each for each in answers("images-by-digest", judged, Verdict.VIOLATED) if "shop:dev" in each.message]


def test_a_team_may_ask_for_more_replicas():
    found = judge(program(GOOD), (rule("replicas-two-or-more"),), Thresholds(min_replicas=3)).having(Verdict.VIOLATED)
    assert [each.answer.message for each in found] == ["it may run on 2 pod, want 3 or more"]


def test_the_gravest_finding_comes_first():
    bodies = changed(f"{API}.env.0", {"name": "DATABASE_URL", "value": "x"})
    bodies["deployment"]["spec"]["template"]["spec"].pop("serviceAccountName")
    found = judge(program(bodies), RULES, Thresholds()).having(Verdict.VIOLATED)
    assert [each.rule.severity.value for each in found] == sorted(
        (each.rule.severity.value for each in found), key=["critical", "high", "medium"].index
    )
    assert found[0].rule.name == "secrets-not-in-clear"
