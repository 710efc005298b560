"""`python -m fastapi_platform_runtime.check app.main:create_app`: does this application keep the platform's contract?

Owns the command, the processes that an application is tried in, and how points are printed. Each trial is a process
with an environment of its own: of this one's variables it gets what an interpreter needs to start. What is judged, and
how, says `contract`. Deliberately starts no server and no dependency: what needs one is not judged, and says so. Prints
no value of a variable, and nothing that the application itself said.

Exit status: 0 no finding; 1 findings; 2 wrong usage.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import contract
from .command import find_tool, import_string
from .contract import Blocking, Point, Trial, Verdict
from .health import LIVE_PATH, READY_PATH, STARTUP_PATH

PROGRAM = "python -m fastapi_platform_runtime.check"
DESCRIPTION = "Judge an application by the contract with the platform, in processes of its own, without a server."
TRIAL_SECONDS = 90
_INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module for the exit status."""
    options = parser().parse_args(argv)
    probes = {"live": options.live_path, "ready": options.ready_path, "startup": options.startup_path}
    given: dict[str, str] = options.environment_file or {}
    empty = attempt(options, probes, {})
    if empty.not_there:
        parser().error(f"cannot check {options.app}: {empty.not_there}")
    stated = attempt(options, probes, given) if given else empty
    blocking = blocking_calls({*empty.files, *stated.files})
    points = contract.judge(empty, stated, probes, blocking, given=bool(given))
    _print(points, options.format)
    return 1 if any(each.verdict is Verdict.FINDING for each in points) else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("app", type=import_string, help="application or its factory, module:attribute, in the working directory")
    add("--factory", action=argparse.BooleanOptionalAction, default=None,
        help="whether the attribute is a function that makes the application (told by whether it is a plain function)")
    add("--environment-file", type=_environment, metavar="FILE",
        help="what the application needs in production, NAME=VALUE on each line; addresses may lead nowhere")
    add("--host", metavar="NAME", help="name by which clients call the application, where it answers to no other")
    add("--live-path", default=LIVE_PATH, metavar="PATH", help="liveness probe (%(default)s)")
    add("--ready-path", default=READY_PATH, metavar="PATH", help="readiness probe (%(default)s)")
    add("--startup-path", default=STARTUP_PATH, metavar="PATH", help="startup probe (%(default)s)")
    add("--format", choices=("text", "json"), default="text", help="how points are printed (%(default)s)")
    return made


def attempt(options: argparse.Namespace, probes: Mapping[str, str], environment: Mapping[str, str]) -> Trial:
    """Try an application in a process whose environment is the given one."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with TemporaryDirectory(prefix="check-") as folder:
        answer = Path(folder) / "answer.json"
        request = {"app": options.app, "factory": options.factory, "host": options.host, "probes": dict(probes),
                   "answer": str(answer)}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "fastapi_platform_runtime.inspection"], input=json.dumps(request), text=True,
                env={**inherited, **environment}, capture_output=True, check=False, errors="replace",
                timeout=TRIAL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Trial.of({"failed": f"no end within {TRIAL_SECONDS} s"}, "", ())
        observed: dict[str, Any] = json.loads(answer.read_text()) if answer.is_file() else {
            "failed": f"exit status {done.returncode}"
        }
    return Trial.of(observed, done.stdout + done.stderr, {*inherited.values(), *environment.values()})


def blocking_calls(files: set[str]) -> Blocking:
    """What ruff finds in the application's own modules: calls in `async def` that hold every other request."""
    ruff = find_tool("ruff")
    if ruff is None:
        return Blocking(judged=False, why="ruff is not installed: pip install ruff")
    if not files:
        return Blocking(judged=False, why="no module of the application was imported")
    words = [ruff, "check", "--isolated", "--select", "ASYNC2", "--output-format", "json", *sorted(files)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=TRIAL_SECONDS)
    try:
        said: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        return Blocking(judged=False, why=f"ruff does not work: {' '.join(done.stderr.split())[:200]}")
    here = Path.cwd()
    found = (
        f"{os.path.relpath(each['filename'], here)}:{each['location']['row']} {each['code']} {each['message']}"
        for each in said
    )
    return Blocking(judged=True, calls=tuple(found), modules=len(files))


def _environment(name: str) -> dict[str, str]:
    """Read variables as `docker run --env-file` does: a value is what stands behind the first `=`."""
    try:
        lines = Path(name).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise argparse.ArgumentTypeError(f"cannot read {name}: {type(exc).__name__}") from exc
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        variable, given, value = line.strip().partition("=")
        if not variable or variable.startswith("#"):
            continue
        if not given or not _VARIABLE.fullmatch(variable):
            raise argparse.ArgumentTypeError(f"{name}, line {number}: want NAME=VALUE")
        found[variable] = value
    return found


def _print(points: Sequence[Point], format_: str) -> None:
    if format_ == "json":
        text = json.dumps({"points": [asdict(each) for each in points]}, indent=2)
    else:
        counts = ", ".join(f"{sum(each.verdict is verdict for each in points)} {verdict}" for verdict in Verdict)
        text = "\n".join([*map(str, points), counts])
    print(text)  # noqa: T201 the points are what this command is for


if __name__ == "__main__":
    raise SystemExit(main())
