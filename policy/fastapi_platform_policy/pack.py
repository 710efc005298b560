"""The rules as a Pulumi policy pack: the same judge at `pulumi preview`, at `pulumi up` and over an exported state.

Owns the translation between the engine's policy protocol and records. Deliberately holds no rule, and starts no server:
`policy/__main__.py` does. Inputs are judged, not outputs: after a deploy the outputs of a Deployment also hold what the
cluster and its controllers filled in.
Source: https://www.pulumi.com/docs/iac/using-pulumi/crossguard/core-concepts/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi_policy as crossguard
from pulumi_policy.deserialize import serialize_properties

from fastapi_platform.planning.environment import Environment

from .catalog import RULES
from .program import Program
from .record import Marker, Options, Record, Value
from .rule import Finding, Rule, Severity, Thresholds, Verdict, judge
from .sources import STACK_TYPE, decode

NAME = "fastapi-platform"
NOT_KNOWN_YET = "cannot-know-yet"
"""Name of the advisory policy that lists what no rule could tell."""
KUBERNETES_SECRET = "kubernetes:core/v1:Secret"
SEVERITIES = {
    Severity.CRITICAL: crossguard.Severity.CRITICAL,
    Severity.HIGH: crossguard.Severity.HIGH,
    Severity.MEDIUM: crossguard.Severity.MEDIUM,
}


@dataclass(slots=True)
class Pack:
    """The policies, and what they share: inputs by URN, filled while the engine registers resources."""

    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def policies(self) -> list[crossguard.Policy]:
        """Every rule, what nobody can tell, and the collector of inputs."""
        return [self._collector(), *(self._policy(rule) for rule in RULES), self._not_known()]

    def records(self, resources: Sequence[crossguard.PolicyResource]) -> tuple[Record, ...]:
        """Records of the engine's resources, sorted by URN."""
        found = (
            _record(resource, self.inputs.get(resource.urn) or serialize_properties(resource.props))
            for resource in resources
            if resource.resource_type != STACK_TYPE
        )
        return tuple(sorted(found, key=lambda record: record.urn))

    def findings(self, args: crossguard.StackValidationArgs, rules: Sequence[Rule]) -> tuple[Finding, ...]:
        """Findings of some rules about a whole stack."""
        program = Program(self.records(args.resources))
        return judge(program, rules, _thresholds(args.get_config())).findings

    def _collector(self) -> crossguard.Policy:
        def collect(args: crossguard.ResourceValidationArgs, _: crossguard.ReportViolation) -> None:
            self.inputs[args.urn] = serialize_properties(args.props)

        return crossguard.ResourceValidationPolicy(
            "collect-inputs",
            "Remembers what each resource was declared with; never violated.",
            collect,
            enforcement_level=crossguard.EnforcementLevel.ADVISORY,
        )

    def _policy(self, rule: Rule) -> crossguard.Policy:
        def validate(args: crossguard.StackValidationArgs, report: crossguard.ReportViolation) -> None:
            for finding in self.findings(args, (rule,)):
                if finding.answer.verdict is Verdict.VIOLATED:
                    report(f"{finding.answer.message}. {rule.fix}", finding.answer.urn)

        return crossguard.StackValidationPolicy(
            rule.name,
            rule.why,
            validate,
            enforcement_level=crossguard.EnforcementLevel.MANDATORY,
            config_schema=_schema(),
            severity=SEVERITIES[rule.severity],
            tags=list(rule.controls),
            remediation_steps=rule.fix,
            url=rule.url,
        )

    def _not_known(self) -> crossguard.Policy:
        def validate(args: crossguard.StackValidationArgs, report: crossguard.ReportViolation) -> None:
            for finding in self.findings(args, RULES):
                if finding.answer.verdict is Verdict.UNKNOWN:
                    report(f"{finding.rule.name}: {finding.answer.message}", finding.answer.urn)

        return crossguard.StackValidationPolicy(
            NOT_KNOWN_YET,
            "What no rule can tell from here; not a pass.",
            validate,
            enforcement_level=crossguard.EnforcementLevel.ADVISORY,
            config_schema=_schema(),
        )


def _schema() -> crossguard.PolicyConfigSchema:
    defaults = Thresholds()
    return crossguard.PolicyConfigSchema(
        properties={
            "assumedEnvironment": {"type": "string", "enum": [each.value for each in Environment],
                                   "default": defaults.assumed_environment.value},
            "minReplicas": {"type": "integer", "minimum": 1, "default": defaults.min_replicas},
        }
    )


def _thresholds(config: Mapping[str, Any]) -> Thresholds:
    defaults = Thresholds()
    return Thresholds(
        assumed_environment=Environment(config.get("assumedEnvironment", defaults.assumed_environment)),
        min_replicas=int(config.get("minReplicas", defaults.min_replicas)),
    )


def _record(resource: crossguard.PolicyResource, inputs: Mapping[str, Any]) -> Record:
    return Record(
        urn=resource.urn,
        type=resource.resource_type,
        name=resource.name,
        custom=resource.provider is not None,
        aliases=tuple(resource.opts.aliases),
        dependencies=tuple(sorted(needed.urn for needed in resource.dependencies)),
        inputs={key: _value(resource, key, value) for key, value in inputs.items()},
        options=_options(resource.opts),
        parent=resource.parent.urn if resource.parent is not None else "",
        property_dependencies={
            key: tuple(sorted(needed.urn for needed in found)) for key, found in resource.property_dependencies.items()
        },
        protect=resource.opts.protect,
        provider=resource.provider.urn if resource.provider is not None else "",
    )


def _options(options: crossguard.PolicyResourceOptions) -> Options:
    timeouts = options.custom_timeouts
    return Options(
        additional_secret_outputs=tuple(options.additional_secret_outputs),
        create_timeout_seconds=timeouts.create_seconds or None,
        delete_before_replace=options.delete_before_replace,
        ignore_changes=tuple(options.ignore_changes),
        update_timeout_seconds=timeouts.update_seconds or None,
    )


def _value(resource: crossguard.PolicyResource, key: str, value: Any) -> Value:
    """An input; what a Kubernetes Secret holds reaches a policy in clear and is hidden again here."""
    decoded = decode(value)
    if resource.resource_type == KUBERNETES_SECRET and key in ("data", "stringData"):
        return dict.fromkeys(decoded, Marker.SECRET) if isinstance(decoded, dict) else Marker.SECRET
    return decoded
