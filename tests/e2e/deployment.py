"""The `local` stack through the real engine.

Owns a copy of the project with an environment and a backend of its own, driven through the Automation API: what `make
up` does, event by event. Deliberately no other way to the cluster: what is asked of it is asked by the tests.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation
from pulumi.automation import EngineEvent, OpType, UpResult

from tests.engine.workspace import copy_workspace

NAME = "local"


class Deployment:
    """One stack, its state, and the settings that a test changes."""

    def __init__(self, home: Path, kubeconfig: Path, kubectl: str) -> None:
        """Copy the project, and take the way to the cluster; nothing is deployed yet."""
        self.project = home / "project"
        self.project.mkdir(parents=True)
        copy_workspace(self.project)
        (home / "state").mkdir()
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{Path(kubectl).parent}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        options = automation.LocalWorkspaceOptions(env_vars=self._environment)
        self._stack = automation.create_or_select_stack(NAME, work_dir=str(self.project), opts=options)
        self._file = self.project / f"Pulumi.{NAME}.yaml"
        self._base = self._file.read_text()

    def set(self, section: str, **values: Any) -> None:
        """Change keys of a section of the stack file."""
        content = yaml.safe_load(self._file.read_text())
        content["config"].setdefault(f"fastapi-platform:{section}", {}).update(values)
        self._file.write_text(yaml.safe_dump(content))

    def reset(self) -> None:
        """Return to the settings of the project."""
        self._file.write_text(self._base)

    def up(self, on_change: Callable[[], None] | None = None) -> dict[str, int]:
        """Deploy, and return how many resources went which way.

        Args:
            on_change: Called each time that a resource has been made or changed.

        Raises:
            automation.CommandError: The deploy failed; its text is what the user sees.
        """

        def tell(event: EngineEvent) -> None:
            outputs = event.res_outputs_event
            if on_change and outputs and str.__str__(outputs.metadata.op) != "same":
                on_change()

        result: UpResult = self._stack.up(on_event=tell, color="never", suppress_progress=True)
        return _counts(result.summary.resource_changes or {})

    def changes(self) -> dict[str, int]:
        """Return what a deploy would change."""
        found = _counts(self._stack.preview(color="never").change_summary)
        return {name: count for name, count in found.items() if name != "same"}

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `fastapi-platform` on this stack, as a user does who has said yes."""
        command = (str(self.project / ".venv/bin/fastapi-platform"), *words, "--cwd", str(self.project))
        asked = (*command, "--", "--yes", "--non-interactive") if words[0] == "up" else command
        environment = os.environ | self._environment
        return subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=600)

    def destroy(self) -> None:
        """Take everything away."""
        self._stack.destroy(color="never")

    def predicted(self) -> list[dict[str, Any]]:
        """Return the objects that a preview without engine shows for these settings."""
        command = (self.project / ".venv/bin/fastapi-platform", "render", NAME, "--cwd", self.project)
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return list(yaml.safe_load_all(done.stdout))


def _counts(found: Mapping[OpType, int]) -> dict[str, int]:
    """Return them by name: the library types as an enumeration what it reads as text."""
    return {str.__str__(operation): count for operation, count in found.items()}
