"""A diagnosis on one screen.

Owns layout, and that nothing secret is on it. Deliberately cuts: the rest is in the cluster, and the first cause is the
one to mend.
"""

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..redaction import redacted
from .examine import Diagnosis
from .finding import Finding

LINE_LIMIT = 240
"""Characters of a line; a registry's words are long, and their end says most."""
EVIDENCE_LINES = 6
FINDINGS = 4
NAMES = 3


def screen(stack: str, diagnosis: Diagnosis) -> RenderableType:
    """The whole of it: what serves, what is wrong, what is under way."""
    parts: list[RenderableType] = [Text(line, style="bold") for line in diagnosis.serving]
    for finding in diagnosis.findings[:FINDINGS]:
        parts += [Text(), *_finding(finding)]
    if len(diagnosis.findings) > FINDINGS:
        parts.append(Text(f"\nand {len(diagnosis.findings) - FINDINGS} more: --format json shows all", style="dim"))
    parts += [Text(f"under way: {shown(each.text)}", style="dim") for each in diagnosis.under_way]
    if not diagnosis.findings:
        parts.append(Text(f"stack {stack}: no fault" + (" so far" if diagnosis.under_way else "")))
    return Group(*parts)


def headline(finding: Finding) -> str:
    """A cause in one line."""
    return shown(f"{finding.subject}: {finding.cause}")


def document(stack: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """The same as data."""
    return {
        "stack": stack,
        "serving": list(diagnosis.serving),
        "findings": [
            {
                "subject": each.subject,
                "cause": shown(each.cause),
                "evidence": [shown(line) for line in each.evidence],
                "fix": shown(each.fix),
                "objects": list(each.objects),
            }
            for each in diagnosis.findings
        ],
        "under_way": [shown(each.text) for each in diagnosis.under_way],
    }  # fmt: skip


def shown(line: str) -> str:
    """A line without credentials, and of one that is too long its two ends."""
    safe = redacted(line).strip()
    if len(safe) <= LINE_LIMIT:
        return safe
    return f"{safe[: LINE_LIMIT // 3]} … {safe[-(LINE_LIMIT - LINE_LIMIT // 3) :]}"


def _finding(finding: Finding) -> list[RenderableType]:
    line = Text()
    line.append(headline(finding), style="bold red")
    evidence = [text for each in finding.evidence[:EVIDENCE_LINES] if (text := shown(each))]
    return [
        line.append(_seen_on(finding), style="dim"),
        *(Padding(Text(each), (0, 0, 0, 2), expand=False) for each in evidence),
        Padding(Text.assemble(("next: ", "bold"), shown(finding.fix)), (0, 0, 0, 2), expand=False),
    ]


def _seen_on(finding: Finding) -> str:
    more = f" and {len(finding.objects) - NAMES} more" if len(finding.objects) > NAMES else ""
    return f"  ({', '.join(finding.objects[:NAMES])}{more})" if finding.objects else ""
