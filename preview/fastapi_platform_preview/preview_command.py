"""What `preview` and `render` do with recorded stacks.

Owns judging, printing and writing them, and the exit code. Deliberately shows every stack that can be shown, even when
another one cannot.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from fastapi_platform_policy.catalog import RULES
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.rule import Thresholds, judge

from . import json_format, manifests, output, report, text_format
from .errors import BAD_USAGE, CLEAN, FINDINGS, UsageError
from .launcher import RecordedStack
from .recording import Started
from .report import StackReport


def run(started: Started, *, as_json: bool, out: Path | None) -> int:
    """Show the stacks, and write their manifests when asked to.

    Returns:
        Exit code: 0 clean, 1 when a rule is violated, 2 when a stack could not be recorded.
    """
    reports: list[StackReport] = []
    failed = False
    for stack, item in _recorded(started):
        if isinstance(item, UsageError):
            output.complain(f"stack {stack}", item)
            failed = True
            continue
        reports.append(_report(item))
        if out is not None:
            manifests.write(manifests.of_program(reports[-1].program), out / item.stack)
        if not as_json:
            output.show(text_format.stack(reports[-1], first=len(reports) == 1))
    if as_json:
        sys.stdout.write(json.dumps(json_format.document(reports), indent=2) + "\n")
    if failed:
        return BAD_USAGE
    return FINDINGS if any(found.violations() for found in reports) else CLEAN


def render(started: Started, *, out: Path | None) -> int:
    """Print or write the manifests of one stack.

    Returns:
        Exit code: 0, or 2 when the stack could not be recorded.
    """
    for stack, item in _recorded(started):
        if isinstance(item, UsageError):
            output.complain(f"stack {stack}", item)
            return BAD_USAGE
        found = manifests.of_program(Program(item.records))
        if out is None:
            sys.stdout.write(manifests.as_stream(found))
        else:
            manifests.write(found, out)
    return CLEAN


def _recorded(started: Started) -> Iterator[tuple[str, RecordedStack | UsageError]]:
    """Each stack with its recording, or with why there is none."""
    for stack, future in started.results():
        try:
            with output.progress(f"recording {stack} …"):
                recorded = future.result()
        except UsageError as error:
            yield stack, error
        else:
            yield stack, recorded


def _report(recorded: RecordedStack) -> StackReport:
    program = Program(recorded.records)
    return report.build(recorded, program, judge(program, RULES, Thresholds()))
