"""A report for programs.

Owns the JSON document; `docs/reference/preview-json.md` describes it. Deliberately versioned: a field that changes its
meaning or goes away raises `VERSION`, a new one does not.
"""

from collections.abc import Sequence
from typing import Any

from fastapi_platform_policy.record import Marker, Record, plain
from fastapi_platform_policy.rule import Finding, Verdict
from fastapi_platform_policy.selection import Selection
from fastapi_platform_policy.workloads import full_name

from .report import Drain, Node, StackReport

VERSION = 1


def document(reports: Sequence[StackReport], errors: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """All stacks of a preview as one JSON-compatible document.

    Args:
        reports: The stacks that could be recorded.
        errors: Stack and message of what went wrong.
    """
    return {
        "version": VERSION,
        "stacks": [_stack(report) for report in reports],
        "errors": [{"stack": stack, "message": message} for stack, message in errors],
    }


def _stack(report: StackReport) -> dict[str, Any]:
    return {
        "project": report.project,
        "stack": report.stack,
        "seconds": round(report.seconds, 3),
        "counts": {verdict.value: len(report.judgement.having(verdict)) for verdict in Verdict},
        "resources": [_resource(record) for record in report.program.records],
        "components": [_node(node) for node in report.tree],
        "deploy_order": [
            {
                "step": step.number,
                "urns": [record.urn for record in step.records],
                "gates": [gate.urn for gate in step.gates],
            }
            for step in report.steps
        ],
        "drain_budgets": [_drain(drain) for drain in report.drains],
        "selections": [_selection(selection) for selection in report.selections],
        "not_known": [
            {"resource": loose.resource, "path": loose.path} for loose in report.loose if loose.marker is Marker.UNKNOWN
        ],
        "outputs": {name: plain(value) for name, value in report.outputs},
        "messages": [{"severity": severity, "text": text} for severity, text in report.messages],
        "findings": [
            _finding(finding) for verdict in Verdict for finding in report.judgement.having(verdict)
        ],
    }


def _resource(record: Record) -> dict[str, Any]:
    return {
        "urn": record.urn,
        "type": record.type,
        "name": record.name,
        "custom": record.custom,
        "parent": record.parent,
        "dependencies": list(record.dependencies),
        "protect": record.protect,
        "provider": record.provider,
        "inputs": plain(record.inputs),
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind,
        "urn": node.urn,
        "facts": [{"label": fact.label, "value": fact.value} for fact in node.facts],
        "children": [_node(child) for child in node.children],
    }


def _drain(drain: Drain) -> dict[str, Any]:
    budget = drain.budget
    return {
        "workload": drain.workload,
        "server": drain.server,
        "promised": drain.promised,
        "pre_stop_seconds": budget.pre_stop_seconds,
        "lame_duck_seconds": budget.lame_duck_seconds,
        "graceful_timeout_seconds": budget.graceful_timeout_seconds,
        "termination_grace_seconds": budget.termination_grace_seconds,
        "request_timeout_seconds": budget.request_timeout_seconds,
        "keep_alive_seconds": budget.keep_alive_seconds,
        "inequalities": [
            {"text": condition.text, "numbers": condition.numbers, "holds": condition.holds}
            for condition in budget.inequalities()
        ],
    }


def _selection(selection: Selection) -> dict[str, Any]:
    return {
        "urn": selection.record.urn,
        "role": selection.role,
        "everything": selection.everything,
        "picks": [full_name(workload.record) for workload in selection.workloads],
        "not_known": [full_name(workload.record) for workload in selection.unsure],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.name,
        "severity": finding.rule.severity.value,
        "verdict": finding.answer.verdict.value,
        "urn": finding.answer.urn,
        "message": finding.answer.message,
        "controls": list(finding.rule.controls),
        "fix": finding.rule.fix,
        "url": finding.rule.url,
    }
