"""What a run on a cluster has shown: one line a scenario, with its figures.

Owns the page that EVIDENCE=FOLDER asks for. Deliberately writes only what passed: behind each figure stand assertions.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HEAD = """# What was seen on a cluster

Written by `make evidence`; each line stands behind the assertions of a test in `tests/cluster`.

"""


@dataclass
class Evidence:
    """The figures of one run."""

    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @contextmanager
    def of(self, scenario: str) -> Generator[list[str]]:
        """Collect the figures of a scenario, which count if nothing fails meanwhile."""
        figures: list[str] = []
        try:
            yield figures
        finally:
            print(f"\n{scenario}: {'; '.join(figures)}")
        self.lines.append((scenario, "; ".join(figures)))

    def write(self, folder: Path, kubernetes: str) -> None:
        """Write the page of this run."""
        folder.mkdir(parents=True, exist_ok=True)
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        where = f"{when}, Kubernetes {kubernetes}, {os.cpu_count()} cores for everything"
        rows = "".join(f"| {scenario} | {figures} |\n" for scenario, figures in sorted(self.lines))
        page = f"{HEAD}{where}.\n\n| scenario | figures |\n| --- | --- |\n{rows}"
        (folder / f"kubernetes-{kubernetes}.md").write_text(page)
