"""The sign of life of a worker, which nobody can call.

Owns the file that a worker touches as long as its event loop turns, and the judgement of its age, which the
platform's liveness probe runs as `python -m app.worker --healthy`. Deliberately touches no dependency: a worker is
not restarted because Postgres or Redis is away. Imports nothing heavy: a probe runs twice a minute in each pod.
"""

import asyncio
import tempfile
import time
from pathlib import Path

NAME = "worker-heartbeat"
BEAT_SECONDS = 5
MAX_AGE_SECONDS = 30
"""Older, and the worker is stuck: six beats were missed."""


def path() -> Path:
    """Return where the file is: the temporary folder, the only one that can be written."""
    return Path(tempfile.gettempdir()) / NAME


async def beat() -> None:
    """Touch the file again and again."""
    while True:
        await asyncio.to_thread(path().touch)
        await asyncio.sleep(BEAT_SECONDS)


def is_fresh() -> bool:
    """Whether a worker lived a moment ago."""
    try:
        return time.time() - path().stat().st_mtime < MAX_AGE_SECONDS
    except FileNotFoundError:
        return False
