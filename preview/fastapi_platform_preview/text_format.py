"""A report for people.

Owns layout and colour. Deliberately computes nothing, and prints the same words to a terminal and into a file.
"""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from fastapi_platform_policy.record import Marker, text
from fastapi_platform_policy.rule import Finding, Verdict
from fastapi_platform_policy.selection import Selection
from fastapi_platform_policy.workloads import full_name

from .facts import Fact, shown
from .report import Drain, Node, StackReport

LABEL_WIDTH = 8
_BETWEEN = Text("\n" + "─" * 80 + "\n", style="dim")
VERDICT_STYLES = {Verdict.VIOLATED: "bold red", Verdict.UNKNOWN: "yellow", Verdict.COMPLIANT: "green"}


def stack(report: StackReport, *, first: bool) -> RenderableType:
    """Everything about a stack.

    Args:
        report: The stack.
        first: Whether nothing stands above it.
    """
    parts: list[RenderableType] = [*([] if first else [_BETWEEN]), _header(report)]
    for title, body in _sections(report):
        parts += [Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, 2), expand=False)]
    return Group(*parts, Text(), _verdict(report))


def _sections(report: StackReport) -> Iterator[tuple[str, RenderableType]]:
    if report.steps:
        yield "Components", _tree(report.tree)
        yield f"Deploy order ({len(report.steps)} steps)", _order(report)
    if report.drains:
        yield "Drain budget", Group(*(_drain(drain) for drain in report.drains), Text(_LEGEND, style="dim"))
    if report.selections:
        yield "Who selects which pods", _selections(report.selections)
    unknown = [loose for loose in report.loose if loose.marker is Marker.UNKNOWN]
    if unknown:
        yield "Known only after the deploy", _lines(f"{loose.resource}: {loose.path}" for loose in unknown)
    if report.messages:
        yield "The program says", _lines(f"{severity}: {message}" for severity, message in report.messages)
    if report.outputs:
        yield "Outputs", _table([(Text(name), Text(shown(value))) for name, value in report.outputs])
    findings = [*report.judgement.having(Verdict.VIOLATED), *report.judgement.having(Verdict.UNKNOWN)]
    if findings:
        yield "Findings", Group(*(_finding(report, finding) for finding in findings))


def _header(report: StackReport) -> Text:
    line = Text()
    line.append(f"{report.project} / {report.stack}", style="bold cyan")
    counts = ", ".join(f"{number} {kind}" for kind, number in report.counts)
    return line.append(f"\n{report.resources} resources in {report.seconds:.1f} s: {counts}", style="dim")


def _tree(nodes: tuple[Node, ...]) -> RenderableType:
    root = Tree("", hide_root=True, guide_style="dim")
    for node in nodes:
        _grow(root, node)
    return root


def _grow(parent: Tree, node: Node) -> None:
    label = Text()
    label.append(node.name, style="bold").append(f"  {node.kind}", style="cyan")
    if node.protect:
        label.append("  protected", style="green")
    branch = parent.add(Group(label, *_facts(node.facts)))
    for child in node.children:
        _grow(branch, child)


def _facts(facts: Sequence[Fact]) -> Iterator[RenderableType]:
    if facts:
        rows = [(Text(f"{fact.label:<{LABEL_WIDTH}}", style="dim"), Text(fact.value)) for fact in facts]
        yield Padding(_table(rows), (0, 0, 0, 2), expand=False)


def _order(report: StackReport) -> RenderableType:
    rows: list[tuple[Text, Text]] = []
    for step in report.steps:
        rows.append((Text(f"{step.number}"), Text(", ".join(full_name(record) for record in step.records))))
        for gate in step.gates:
            sentence = f"gate: {full_name(gate)} must succeed before {_waiting(report, gate.urn)}"
            rows.append((Text(), Text(sentence, style="bold yellow")))
    return _table(rows)


def _waiting(report: StackReport, gate: str) -> str:
    waiting = [full_name(record) for step in report.steps for record in step.records if gate in record.dependencies]
    return ", ".join(waiting)


def _drain(drain: Drain) -> RenderableType:
    budget = drain.budget
    title = Text(f"{drain.workload} ({drain.server})", style="bold")
    conditions = [(_mark(each.holds), Text(each.text), Text(each.numbers)) for each in budget.inequalities()]
    rows: list[RenderableType] = [title, _table(conditions)]
    if not drain.promised:
        rows.append(Text(_UNDECLARED, style="yellow"))
    if budget.cuts_open_connections:
        rows.append(Text(_COST_WITHOUT_LAME_DUCK, style="yellow"))
    return Group(*rows)


_COST_WITHOUT_LAME_DUCK = (
    "K = 0: clients that keep connections open see errors at every rollout, because nothing tells them to leave\n"
    "(measured: 18 of 15,609 requests over three rollouts; none of 19,379 with a lame duck). Server `runtime` has one."
)


def _mark(holds: bool) -> Text:
    return Text("holds", style="green") if holds else Text("broken", style="bold red")


_UNDECLARED = "No longest request is declared: the server's graceful timeout stands for R."
_LEGEND = (
    "R longest request, P preStop sleep, K lame duck, G graceful timeout, T termination grace, "
    "D load balancer's drain, L its idle timeout; all in seconds"
)


def _selections(selections: tuple[Selection, ...]) -> RenderableType:
    return _table([(Text(full_name(selection.record)), _picked(selection)) for selection in selections])


def _picked(selection: Selection) -> Text:
    names = ", ".join(full_name(workload.record) for workload in selection.workloads)
    if selection.everything:
        return Text(f"every pod of namespace {text(selection.record.at('metadata', 'namespace'))}: {names or 'none'}")
    line = Text(names) if names else Text("no pod", style="bold red" if not selection.unsure else "yellow")
    if selection.unsure:
        line.append(f" (not known yet: {', '.join(full_name(workload.record) for workload in selection.unsure)})")
    return line


def _finding(report: StackReport, finding: Finding) -> RenderableType:
    record = report.program.by_urn[finding.answer.urn]
    verdict = finding.answer.verdict
    line = Text()
    line.append(f"{verdict.value}  ", style=VERDICT_STYLES[verdict])
    line.append(finding.rule.name, style="bold")
    line.append(f" ({finding.rule.severity.value})  {full_name(record)}")
    reasons = Text(f"{finding.answer.message}.\n{finding.rule.why}\n")
    reasons.append(f"Fix: {finding.rule.fix}\n{finding.rule.url}", style="dim")
    return Group(line, Padding(reasons, (0, 0, 0, 2), expand=False))


def _verdict(report: StackReport) -> Text:
    line = Text()
    for verdict in (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.COMPLIANT):
        number = len(report.judgement.having(verdict))
        style = VERDICT_STYLES[verdict] if number else "dim"
        line.append(f"{number} {verdict.value}", style=style).append("  ")
    rules = len({finding.rule.name for finding in report.judgement.findings})
    return line.append(f"by {rules} rules", style="dim")


def _lines(lines: Iterator[str]) -> RenderableType:
    return Group(*(Text(line) for line in lines))


def _table(rows: Sequence[Sequence[Text]]) -> Table:
    """Columns without lines; a terminal's width breaks words and cuts none. Cells are Text: `[secret]` is no markup."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(max(len(row) for row in rows)):
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
