"""What `doctor` prints.

Owns layout and exit code. Deliberately counts only what the named step needs: nobody needs everything.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from . import doctor, output
from .doctor import Check, Step
from .errors import CLEAN, FINDINGS

MEANINGS = {
    Step.PREVIEW: "see what would be deployed",
    Step.IMAGE: "build the image of the example app",
    Step.LOCAL: "have a cluster on this machine",
    Step.DEPLOY: "deploy a stack",
}


def run(start: Path, step: Step | None) -> int:
    """Print the checks of one step or of all, with the remedy of whatever is missing.

    Returns:
        0 when the named step (by default: preview) has all it needs, else 1.
    """
    checks = doctor.examine(start, step)
    for each in Step if step is None else (step,):
        output.show(Text(f"{each.value}: {MEANINGS[each]}", style="bold"))
        output.show(_table([check for check in checks if check.step is each]))
    needed = Step.PREVIEW if step is None else step
    missing = [check for check in checks if check.step is needed and not check.found]
    if missing:
        sys.stderr.write(f"{len(missing)} missing for {needed.value}\n")
    return FINDINGS if missing else CLEAN


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for check in checks:
        mark = Text("ok", style="green") if check.found else Text("missing", style="bold yellow")
        table.add_row(mark, Text(check.need), Text(check.found) if check.found else Text(check.remedy, style="dim"))
    return table
