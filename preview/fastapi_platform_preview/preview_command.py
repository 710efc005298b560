"""What `preview` and `render` do with recorded stacks.

Owns judging, printing and writing them, and the exit code. Deliberately shows every stack that can be shown, even when
another one cannot.
"""

import json
from collections.abc import Iterable
from concurrent.futures import Future
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
    errors: list[tuple[str, str]] = []
    if out is not None:
        _refuse_folders(out / stack for stack in started.stacks)
    for stack, recording in started.results():
        try:
            reports.append(_report(_wait(stack, recording)))
            if not as_json:
                output.show(text_format.stack(reports[-1], first=len(reports) == 1))
            if out is not None:
                manifests.write(manifests.of_program(reports[-1].program), out / stack)
        except UsageError as error:
            output.complain(f"stack {stack}", error)
            errors.append((stack, str(error)))
    if as_json:
        output.write(json.dumps(json_format.document(reports, errors), indent=2) + "\n")
    if errors:
        return BAD_USAGE
    return FINDINGS if any(found.violations() for found in reports) else CLEAN


def render(started: Started, *, out: Path | None) -> int:
    """Print or write the manifests of one stack.

    Returns:
        Exit code: 0, or 2 when the stack could not be recorded.
    """
    if out is not None:
        _refuse_folders([out])
    for stack, recording in started.results():
        try:
            found = manifests.of_program(Program(_wait(stack, recording).records))
            if out is None:
                output.write(manifests.as_stream(found))
            else:
                manifests.write(found, out)
        except UsageError as error:
            output.complain(f"stack {stack}", error)
            return BAD_USAGE
    return CLEAN


def _refuse_folders(folders: Iterable[Path]) -> None:
    """See that every folder can be written, before anything is waited for."""
    problems: list[str] = []
    for folder in folders:
        try:
            manifests.usable(folder)
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))


def _wait(stack: str, recording: "Future[RecordedStack]") -> RecordedStack:
    with output.progress(f"recording {stack} …"):
        return recording.result()


def _report(recorded: RecordedStack) -> StackReport:
    program = Program(recorded.records)
    return report.build(recorded, program, judge(program, RULES, Thresholds()))
