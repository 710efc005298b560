"""How fast a preview is, as ratios of things measured in the same run on the same machine.

    python benchmarks/preview_speed.py            both ratios, three pairs each
    python benchmarks/preview_speed.py --pairs 5

1. `preview local` against a bare Python that imports the same SDK modules: what the preview itself costs.
2. A program of 1,000 services against one of 100: whether it grows in step with the program, and its peak memory.

Prints a dot for each finished run, for some minutes, and then one JSON document: medians, ratios pair by pair, and peak
memory of the largest process. Nothing here fails on a clock: machines are shared, and a ratio is read by people.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("fastapi-platform")
FINDINGS = 1
"""Exit status of a preview that was made and has findings."""
SDKS = ("pulumi", "pulumi_kubernetes", "pulumi_random")
PROGRAM = """
from fastapi_platform import FastApiService, FastApiServiceArgs
image = "registry.example.com/shop@sha256:" + "a" * 64
for number in range({services}):
    FastApiService(f"s{{number}}", FastApiServiceArgs(image=image, namespace="shop", service=f"s{{number}}"))
"""


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    peak_mib: float
    """Largest resident size of the process or of one of its children, in MiB."""


def run(command: Sequence[str]) -> Run:
    """Run a command to its end, its output thrown away; one that fails measures nothing and ends the benchmark."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, FINDINGS):
        raise SystemExit(f"failed: {' '.join(command)}")
    print(".", end="", file=sys.stderr, flush=True)
    return Run(time.perf_counter() - started, usage.ru_maxrss / 1024)


def imported_sdk_modules() -> list[str]:
    """SDK modules that the program of the local stack loads."""
    script = (
        "import runpy, sys, json\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, 'infra')\n"
        "import settings, stack\n"
        f"print(json.dumps(sorted(name for name in sys.modules if name.partition('.')[0] in {SDKS!r})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def preview_command(folder: Path, stack: str) -> list[str]:
    """The command whose time counts."""
    return [str(COMMAND), "preview", stack, "--cwd", str(folder)]


def project_of(services: int, folder: Path) -> Path:
    """A project whose program is a number of services."""
    home = folder / str(services)
    home.mkdir()
    (home / "Pulumi.yaml").write_text("name: many\nruntime: python\n")
    (home / "Pulumi.dev.yaml").write_text("config: {}\n")
    (home / "__main__.py").write_text(PROGRAM.format(services=services))
    return home


def paired(first: Sequence[str], second: Sequence[str], pairs: int) -> dict[str, object]:
    """Run two commands in turn, and compare each pair.

    Args:
        first: The command that is measured.
        second: What it is measured against.
        pairs: Counted pairs, after one that is not.
    """
    run(first)
    run(second)
    measured = [(run(first), run(second)) for _ in range(pairs)]
    ratios = [round(one.seconds / other.seconds, 2) for one, other in measured]
    return {
        "seconds": round(statistics.median(one.seconds for one, _ in measured), 2),
        "against_seconds": round(statistics.median(other.seconds for _, other in measured), 2),
        "peak_mib": round(max(one.peak_mib for one, _ in measured)),
        "against_peak_mib": round(max(other.peak_mib for _, other in measured)),
        "ratios": ratios,
        "ratio": statistics.median(ratios),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="counted pairs of each comparison (default 3)")
    pairs: int = parser.parse_args().pairs
    imports = "import " + ", ".join(imported_sdk_modules())
    with tempfile.TemporaryDirectory() as scratch:
        hundred, thousand = (project_of(services, Path(scratch)) for services in (100, 1000))
        found = {
            "preview_local_over_bare_imports": paired(
                preview_command(ROOT, "local"), [sys.executable, "-c", imports], pairs
            ),
            "thousand_services_over_hundred": paired(
                preview_command(thousand, "dev"), preview_command(hundred, "dev"), pairs
            ),
        }
    print(file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
