"""What other programs on this machine say.

Owns running them. Deliberately takes every failure for an empty answer: whoever asks says what is missing.
"""

import shutil
import subprocess

TIMEOUT_SECONDS = 10


def output(*command: str) -> str:
    """What a program prints; empty when it is not there, fails, or takes too long."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def first_line(*command: str) -> str:
    """The first line of it."""
    return output(*command).partition("\n")[0].strip()
