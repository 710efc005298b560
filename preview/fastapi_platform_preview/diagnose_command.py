"""What `diagnose` prints.

Owns output and exit code. Deliberately asks once: watching is what `up` does.
"""

import json

from fastapi_platform_policy.program import Program

from . import output
from .diagnosis import screen, stack
from .diagnosis.examine import Diagnosis
from .diagnosis.stack import Subject
from .errors import CLEAN, FINDINGS
from .recording import Started


def run(started: Started, *, as_json: bool) -> int:
    """Say what is wrong with a deployed stack.

    Returns:
        0 when nothing is, 1 when something is.

    Raises:
        UsageError: when the stack cannot be recorded, or its cluster not be asked.
    """
    subject = recorded(started)
    with output.progress(f"asking the cluster of {subject.stack} …"):
        found = subject.complete(subject.diagnosis())
    show(subject, found, as_json=as_json)
    return FINDINGS if found.findings else CLEAN


def recorded(started: Started) -> Subject:
    """The one stack of a recording.

    Raises:
        UsageError: when it cannot be recorded, or nobody can tell where it is deployed.
    """
    ((name, recording),) = started.results()
    with output.progress(f"recording {name} …"):
        program = Program(recording.result().records)
    return stack.of_records(started.project, name, program)


def show(subject: Subject, found: Diagnosis, *, as_json: bool = False) -> None:
    """Print a diagnosis."""
    if as_json:
        output.write(json.dumps(screen.document(subject.stack, found), indent=2) + "\n")
    else:
        output.show(screen.screen(subject.stack, found))
