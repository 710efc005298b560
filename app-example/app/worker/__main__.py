"""`python -m app.worker` works until it is told to end; `--healthy` asks whether another one does."""

import argparse
import importlib
import sys

from app import heartbeat

STUCK = 1
"""Exit status of `--healthy` when the worker does not live."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m app.worker", description="Do what requests left to be done.")
    parser.add_argument("--healthy", action="store_true", help="end with 0 when a worker lives in this container")
    if parser.parse_args().healthy:
        return 0 if heartbeat.is_fresh() else STUCK
    # Only now: a probe twice a minute does not load what a worker needs.
    return importlib.import_module("app.worker.process").main()


if __name__ == "__main__":
    sys.exit(main())
