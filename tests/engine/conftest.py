"""The real engine in a copy of this workspace, with a backend of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.workspace import OUTSIDE, copy_workspace

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
contexts:
  - {name: kind-fastapi-platform, context: {cluster: nowhere, user: nobody}}
  - {name: development, context: {cluster: nowhere, user: nobody}}
  - {name: production, context: {cluster: nowhere, user: nobody}}
"""


class Engine:
    """A pulumi with a backend of its own, and a cluster that is not there unless one is named."""

    def __init__(self, home: Path, project: Path, kubeconfig: Path | None = None) -> None:
        self.project = project
        (home / "state").mkdir(parents=True)
        (home / "kubeconfig").write_text(KUBECONFIG)
        self._environment = OUTSIDE | {
            "KUBECONFIG": str(kubeconfig or home / "kubeconfig"),
            "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ("pulumi", *arguments, "--non-interactive")
        done = subprocess.run(
            command, cwd=self.project, env=self._environment, capture_output=True, text=True, check=False, timeout=900
        )
        if "no resource plugin" in done.stdout + done.stderr:
            pytest.skip("needs the plugins of the providers: `pulumi install` in this folder")
        return done

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this workspace with an environment of its own."""
    copy = tmp_path_factory.mktemp("workspace")
    copy_workspace(copy)
    return copy


@pytest.fixture
def engine(tmp_path: Path, workspace: Path) -> Engine:
    """The engine in the copy, knowing no stack yet."""
    return Engine(tmp_path / "home", workspace)
