"""The worker process at a pace that a test can wait for: `python -m tests.fast_worker GRACE LEASE`."""

import sys
from dataclasses import replace

from app.pace import Pace
from app.worker.process import main

PACE = Pace(
    retry_seconds=0.1,
    retry_max_seconds=0.5,
    announce_again_seconds=1,
    sweep_seconds=0.3,
)

if __name__ == "__main__":
    grace_seconds, lease_seconds = map(float, sys.argv[1:])
    sys.exit(main(replace(PACE, grace_seconds=grace_seconds, lease_seconds=lease_seconds)))
