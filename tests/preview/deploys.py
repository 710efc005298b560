"""A project, an engine and a cluster that say what a test has them say."""

import json
import shlex
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.preview.observations import Items, items

PROGRAM = """
import pulumi
cluster = pulumi.ProviderResource("kubernetes", "cluster", {"context": "here"})
template = {"spec": {"containers": [{"name": "api", "image": "app-example:dev"}]}}
pulumi.CustomResource(
    "kubernetes:apps/v1:Deployment", "orders",
    {"metadata": {"name": "orders", "namespace": "orders"}, "spec": {"template": template}},
    pulumi.ResourceOptions(provider=cluster),
)
"""
URN = "urn:pulumi:dev::shop::kubernetes:apps/v1:Deployment::orders"
BEGINS = json.dumps({"resourcePreEvent": {"metadata": {"op": "update", "urn": URN}}})
ENGINE = """
echo "$@" >> {state}/calls
[ "$1" = refresh ] && exit 0
for word in "$@"; do case $word in --event-log=*) log=${{word#--event-log=}} ;; esac; done
trap 'echo once >> {state}/interrupts; exit 9' INT
echo {begins} > "$log"
touch {state}/began
until {until}; do sleep 0.05; done
exit {code}
"""
CLUSTER = """
case $1 in logs|version) exit 0 ;; esac
echo asked >> {state}/asked
if [ -e {state}/began ]; then cat {state}/now; else cat {state}/before; fi
"""
ASKED_OFTEN = '[ "$(wc -l < {state}/asked)" -gt 8 ]'
"""The engine ends by itself when the cluster was asked so often: no test waits for a clock."""


class Machine:
    """A project, and a PATH with an engine and a kubectl."""

    def __init__(self, folder: Path) -> None:
        self.project, self.state, self.path = folder / "project", folder / "state", folder / "path"
        for each in (self.project, self.state, self.path):
            each.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        (self.project / "Pulumi.dev.yaml").write_text("config: {}\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        for tool in ("cat", "sleep", "touch", "wc"):
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        self.cluster(before="oom", now="oom")
        self.install("kubectl", CLUSTER.format(state=self.state))
        self.engine()

    def install(self, name: str, script: str) -> None:
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def engine(self, *, until: str = "false", code: int = 0) -> None:
        until = until.format(state=self.state)
        script = ENGINE.format(state=self.state, begins=shlex.quote(BEGINS), until=until, code=code)
        self.install("pulumi", script)

    def cluster(self, *, before: str = "", now: str = "", edit: Callable[[Items], object] | None = None) -> None:
        for moment, name in (("before", before), ("now", now)):
            found: list[dict[str, Any]] = items(name) if name else []
            if edit is not None and found:
                edit(found)
            (self.state / moment).write_text(json.dumps({"items": found}))

    def lines(self, name: str) -> list[str]:
        file = self.state / name
        return file.read_text().splitlines() if file.exists() else []
