"""What `doctor` prints.

Owns layout and exit code. Deliberately counts only what the named step needs: nobody needs everything.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from . import doctor, output, project
from .doctor import Check, Step
from .errors import CLEAN, FINDINGS, refuse

MEANINGS = {
    Step.PREVIEW: "see what would be deployed",
    Step.IMAGE: "build the image of the example app",
    Step.LOCAL: "have a cluster on this machine",
    Step.DEPLOY: "deploy a stack",
}


def run(start: Path, step: Step | None, stacks: Sequence[str]) -> int:
    """Print the checks of one step or of all, with the remedy of whatever is missing.

    Args:
        start: Folder inside a Pulumi project.
        step: The step that matters; none for all.
        stacks: Stacks that shall be deployed; none for any.

    Returns:
        0 when the named step (by default: preview) has all it needs, else 1.

    Raises:
        UsageError: when a stack is named that is not there, or for a step that needs none.
    """
    _refuse_stacks(start, step, stacks)
    checks = doctor.examine(start, step, stacks)
    for each in Step if step is None else (step,):
        output.show(Text(f"{each.value}: {MEANINGS[each]}", style="bold"))
        output.show(_table([check for check in checks if check.step is each]))
    if step is None:
        output.show(Text("Whether a stack's cluster answers: fastapi-platform doctor deploy STACK", style="dim"))
    needed = Step.PREVIEW if step is None else step
    missing = [check for check in checks if check.step is needed and check.asked and not check.found]
    if missing:
        sys.stderr.write(f"{len(missing)} missing for {needed.value}\n")
    return FINDINGS if missing else CLEAN


def _refuse_stacks(start: Path, step: Step | None, stacks: Sequence[str]) -> None:
    if stacks and step is not Step.DEPLOY:
        raise refuse(
            "doctor", "", got=f"a stack for step {step}", want="a stack for step deploy only",
            why="no other step needs a cluster of it", fix=f"Run fastapi-platform doctor deploy {stacks[0]}.",
        )
    for stack in stacks:
        project.find(start).existing_stack_file(stack)


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for check in checks:
        table.add_row(_mark(check), Text(check.need), Text(check.found or check.remedy, "" if check.found else "dim"))
    return table


def _mark(check: Check) -> Text:
    if check.found:
        return Text("ok", style="green")
    return Text("missing", style="bold yellow") if check.asked else Text("no answer", style="dim")
