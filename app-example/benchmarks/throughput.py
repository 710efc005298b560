"""`python -m benchmarks.throughput`: what the application adds to a bare FastAPI route.

Owns the comparison: the product read, with everything around it but the database, against an application that has one
route with the same answer, both under the same server, in turns within one run. Prints requests a second, the 99th
percentile and resident memory, each round's ratio and their medians. Deliberately passes no judgement: the figures
wanted are a ratio of 0.7 or more, and a percentile of 2 times or less.

Needs wrk: `apt-get install wrk`.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from development.services import free_port

ROOT = Path(__file__).parent.parent
CONNECTIONS = 32
PATH = "/v1/products/MUG-1"
SERVER_CORE, CLIENT_CORE = "0", "1"
LATENCY = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
FAILED = re.compile(r"Non-2xx|Socket errors")
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
KINDS = {"bare": {}, "application": {}, "application, traced": {"TRACED": "1"}}
"""What is measured, each with the variables of its process."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one kind."""

    requests_a_second: float
    p99_milliseconds: float
    memory_mib: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where wrk is missing or a request failed."""
    options = _parser().parse_args(argv)
    if shutil.which("wrk") is None:
        print("the benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    rounds: dict[str, list[Measured]] = {kind: [] for kind in KINDS}
    for number in range(options.rounds):
        for kind in KINDS:
            rounds[kind].append(_measure(kind, options.seconds))
            print(f"round {number + 1}: {kind}: {_shown(rounds[kind][-1])}", flush=True)
    for kind in list(KINDS)[1:]:
        _compare(kind, rounds["bare"], rounds[kind])
    return 0


def _measure(kind: str, seconds: int) -> Measured:
    with _serving("bare" if kind == "bare" else "application", KINDS[kind]) as (process, url):
        _wrk(url, 1)
        out = _wrk(url, seconds)
        memory = _memory_mib(process.pid)
    latency, unit = _found(LATENCY, out).groups()
    return Measured(float(_found(RATE, out)[1]), float(latency) * MILLISECONDS[unit], memory)


def _compare(kind: str, bare: Sequence[Measured], ours: Sequence[Measured]) -> None:
    pairs = list(zip(bare, ours, strict=True))
    rates = [our.requests_a_second / their.requests_a_second for their, our in pairs]
    tails = [our.p99_milliseconds / their.p99_milliseconds for their, our in pairs]
    memory = statistics.median(our.memory_mib for our in ours)
    print(f"{kind}: throughput {_ratios(rates)}, 99th percentile {_ratios(tails)}, {memory:.0f} MiB a process")


def _ratios(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} of bare ({', '.join(f'{value:.2f}' for value in values)})"


def _shown(measured: Measured) -> str:
    return (
        f"{measured.requests_a_second:,.0f} requests/s, "
        f"p99 {measured.p99_milliseconds:.1f} ms, {measured.memory_mib:.0f} MiB"
    )


@contextmanager
def _serving(kind: str, environment: dict[str, str]) -> Generator[tuple["subprocess.Popen[bytes]", str]]:
    port = free_port()
    command = [
        *("taskset", "--cpu-list", SERVER_CORE, sys.executable, "-m", "fastapi_platform_runtime.serve"),
        *(f"benchmarks.apps:{kind}", "--factory", "--port", str(port), "--lame-duck", "0"),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}{PATH}"
    try:
        _wait_for(url)
        yield process, url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing answers at {url}")


def _wrk(url: str, seconds: int) -> str:
    words = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    done = subprocess.run(
        ["taskset", "--cpu-list", CLIENT_CORE, *words], capture_output=True, check=True, text=True, timeout=seconds + 30
    )
    if FAILED.search(done.stdout):
        raise SystemExit(f"requests failed:\n{done.stdout}")
    return done.stdout


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(_found(re.compile(r"VmRSS:\s+(\d+) kB"), status)[1]) / 1024


def _found(pattern: "re.Pattern[str]", text: str) -> "re.Match[str]":
    match = pattern.search(text)
    if match is None:
        raise SystemExit(f"cannot read: {text}")
    return match


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, help="pairs of measurements (%(default)s)")
    parser.add_argument("--seconds", type=int, default=8, help="length of each measurement (%(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
