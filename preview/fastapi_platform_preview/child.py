"""The process in which a program is recorded.

Owns running a program as the engine's language host does (working directory, arguments, `__main__`), and handing the
recording to the parent. Deliberately imports nothing of ours but the recorder: it runs in the program's environment.
The result goes to the original standard output as one JSON document; what the program prints goes to standard error.
Source: https://github.com/pulumi/pulumi/blob/master/sdk/python/cmd/pulumi-language-python-exec
"""

import dataclasses
import gc
import json
import os
import runpy
import sys
import time
import traceback
from typing import Any


def main() -> None:
    """Read a job from standard input, record its program, write the result."""
    started = time.perf_counter()
    # Importing an SDK allocates hundreds of thousands of objects that all stay: collecting in between finds nothing.
    gc.set_threshold(200_000, 50, 50)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as result:
        os.dup2(2, 1)
        job: dict[str, Any] = json.load(sys.stdin)
        json.dump(_record(job) | {"seconds": time.perf_counter() - started}, result)
        result.flush()
    # The SDK's threads and half-finished tasks have nothing left to do; waiting for them would only take time.
    os._exit(0)


def _record(job: dict[str, Any]) -> dict[str, Any]:
    try:
        import pulumi  # noqa: PLC0415 a missing SDK is a message, not a crash
    except ImportError:
        return _failure("environment", f"{sys.executable}: the Pulumi SDK is not installed in this environment")
    from fastapi_platform_preview import recorder  # noqa: PLC0415 it needs the SDK

    os.chdir(job["working_directory"])
    if job["main"] == "." and not os.path.isfile("__main__.py"):
        # Python would run the first `__main__` that it finds anywhere on its path.
        return _failure("environment", f"no __main__.py in {job['working_directory']}")
    sys.argv = [job["main"]]
    try:
        recording = recorder.record(
            lambda: runpy.run_path(job["main"], run_name="__main__") and None,
            recorder.Deployment(**job["deployment"]),
            [recorder.Answer(**answer) for answer in job["answers"]],
        )
    except (recorder.Refusal, pulumi.RunError) as error:
        return _failure("refused", str(error))
    except Exception as error:
        return _unhandled(error, recorder.Refusal, job["deployment"]["root_directory"])
    return dataclasses.asdict(recording)


def _unhandled(error: BaseException, refusal: type[Exception], root: str) -> dict[str, Any]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, refusal):
            return _failure("refused", str(cause))
        cause = cause.__cause__ or cause.__context__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(root)]
    place = f" ({os.path.relpath(frames[-1].filename, root)}, line {frames[-1].lineno})" if frames else ""
    return _failure(
        "crashed", f"{type(error).__name__}: {error}{place}", "".join(traceback.format_exception(error))
    )


def _failure(kind: str, message: str, details: str = "") -> dict[str, Any]:
    return {"failure": {"kind": kind, "message": message, "details": details}}
