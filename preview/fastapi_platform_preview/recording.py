"""Stacks being recorded, as many at once as there are cores, while the caller does something else.

Owns choosing the stacks and starting them. Deliberately light to import: the sooner the children start, the better.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from . import fixtures as fixtures_file
from . import launcher, project
from .children import Children
from .errors import refuse
from .fixtures import Fixture
from .launcher import RecordedStack
from .project import Project


@dataclass(frozen=True, slots=True)
class Started:
    """Recordings under way; used as a context, they are stopped when it ends by an exception."""

    project: Project
    stacks: tuple[str, ...]
    _futures: "tuple[Future[RecordedStack], ...]"
    _children: Children = field(default_factory=Children)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._children.stop()

    def results(self) -> "Iterator[tuple[str, Future[RecordedStack]]]":
        """Each stack with its recording, in the order asked for; `result()` waits, and raises the stack's mistake."""
        return zip(self.stacks, self._futures, strict=True)


def start(folder: Path, stacks: Sequence[str], fixtures: Path | None) -> Started:
    """Start recording.

    Args:
        folder: Somewhere inside a Pulumi project.
        stacks: Names of stacks; none for all that have a file.
        fixtures: File with the answers of data sources; none for the project's own, when it has one.

    Raises:
        UsageError: when there is no project, no stack, or the fixtures cannot be read.
    """
    here = project.find(folder.resolve())
    chosen = tuple(dict.fromkeys(stacks)) or tuple(here.stacks())
    if not chosen:
        raise refuse(
            here.file.name, "", got="a project without a stack file", want="at least one Pulumi.<stack>.yaml",
            why="a stack's settings are in its file", fix=f"Create {here.stack_file('dev')}.",
        )
    answers = _fixtures(here, fixtures)
    pool, children = ThreadPoolExecutor(max_workers=os.cpu_count()), Children()
    futures = tuple(pool.submit(launcher.record, children, here, stack, answers) for stack in chosen)
    pool.shutdown(wait=False)
    return Started(here, chosen, futures, children)


def _fixtures(here: Project, named: Path | None) -> tuple[Fixture, ...]:
    file = here.root / fixtures_file.DEFAULT_NAME if named is None else named
    if named is None and not file.is_file():
        return ()
    return fixtures_file.load(file)
