"""A project, an engine and a cluster that say what a test has them say."""

import json
import shutil
import stat
import sys
import time
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
ENGINE = """#!{python}
import os, pathlib, signal, sys, time
state, begins, code = pathlib.Path({state!r}), {begins!r}, {code}
parent, gives_up = os.getppid(), time.monotonic() + {patience}
def note(name, text):
    with (state / name).open("a") as file:
        file.write(text + "\\n")
def interrupted(*_):
    note("interrupts", "once")
def waits():
    time.sleep(0.05)
    if os.getppid() != parent or time.monotonic() > gives_up:
        sys.exit({gave_up})
def asked():
    return len((state / "asked").read_text().splitlines()) if (state / "asked").exists() else 0
note("calls", " ".join(sys.argv[1:]))
if sys.argv[1] == "refresh":
    {refresh}
signal.signal(signal.SIGINT, interrupted)
pathlib.Path(sys.argv[-1].partition("=")[2]).write_text(begins + "\\n")
note("began", str(os.getpid()))
passed = 0
while not (state / "interrupts").exists() and not {until}:
    waits()
    passed += 1
while not {lets_go}:
    waits()
time.sleep(0.5)  # a second interrupt would come now
sys.exit(9 if (state / "interrupts").exists() else code)
"""
CLUSTER = """
case $1 in logs|version) exit 0 ;; esac
echo asked >> {state}/asked
if [ -e {state}/began ]; then cat {state}/now; else cat {state}/before; fi
"""
ASKED_OFTEN = "asked() > 8"
"""The engine ends by itself when the cluster was asked so often: no test waits for a clock."""
A_WHILE = "passed > 30"
"""It ends by itself without the cluster being asked."""
NEVER = "False"
TOLD = "(state / 'told').exists()"
"""It goes on until the test says so."""
PATIENCE_SECONDS, GAVE_UP = 180, 70
"""An engine that nothing ends gives up, with a code of its own: then a test fails, and nothing is left running."""


class Machine:
    """A project, and a PATH with an engine and a kubectl."""

    def __init__(self, folder: Path) -> None:
        self.project, self.state, self.path = folder / "project", folder / "state", folder / "path"
        for each in (self.project, self.state, self.path):
            each.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        (self.project / "Pulumi.dev.yaml").write_text("config: {}\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        for tool in ("cat",):
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        self.cluster(before="oom", now="oom")
        self.install("kubectl", CLUSTER.format(state=self.state))
        self.engine()

    def install(self, name: str, script: str) -> None:
        self._write(name, f"#!/bin/sh\n{script}\n")

    def _write(self, name: str, script: str) -> None:
        file = self.path / name
        file.write_text(script)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def engine(
        self, *, until: str = NEVER, code: int = 0, begins: str = BEGINS, lets_go: str = "True",
        refresh: str = "sys.exit()",
    ) -> None:  # fmt: skip
        values = {
            "python": sys.executable, "state": str(self.state), "begins": begins, "until": until, "code": code,
            "lets_go": lets_go, "refresh": refresh, "patience": PATIENCE_SECONDS, "gave_up": GAVE_UP,
        }  # fmt: skip
        self._write("pulumi", ENGINE.format(**values))

    def wait_for(self, name: str) -> None:
        """Until the engine has left that note."""
        gives_up = time.monotonic() + PATIENCE_SECONDS
        while not (self.state / name).exists():
            assert time.monotonic() < gives_up, f"no {name}"
            time.sleep(0.05)

    def cluster(self, *, before: str = "", now: str = "", edit: Callable[[Items], object] | None = None) -> None:
        for moment, name in (("before", before), ("now", now)):
            found: list[dict[str, Any]] = items(name) if name else []
            if edit is not None and found:
                edit(found)
            (self.state / moment).write_text(json.dumps({"items": found}))

    def lines(self, name: str) -> list[str]:
        file = self.state / name
        return file.read_text().splitlines() if file.exists() else []
