"""The process in which a program is recorded.

Owns running a program as the engine's language host does (working directory, arguments, `__main__`), and handing the
recording to the parent. Deliberately imports nothing of ours but the recorder: it runs in the program's environment.
The result goes to the original standard output as one JSON document; what the program prints goes to standard error.
Source: https://github.com/pulumi/pulumi/blob/master/sdk/python/cmd/pulumi-language-python-exec
"""

import contextlib
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
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed by the program
            stream.flush()
    # The SDK's threads and half-finished tasks have nothing left to do; waiting for them would only take time.
    os._exit(0)


def _record(job: dict[str, Any]) -> dict[str, Any]:
    try:
        import pulumi  # noqa: PLC0415 a missing SDK is a message, not a crash
    except ImportError:
        return _failure("environment", f"{sys.executable}: the Pulumi SDK is not installed in this environment")
    from fastapi_platform_preview import recorder  # noqa: PLC0415 it needs the SDK

    os.chdir(job["working_directory"])
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
        return _unhandled(error, recorder.Refusal, job)
    return dataclasses.asdict(recording)


def _unhandled(error: BaseException, refusal: type[Exception], job: dict[str, Any]) -> dict[str, Any]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, refusal):
            return _failure("refused", str(cause))
        cause = cause.__cause__ or cause.__context__
    root, folder = job["deployment"]["root_directory"], job["working_directory"]
    problems = _problems(error)
    if problems:
        place = _place(error, root, folder) or _place(error, root, root)
        return _failure("refused", "\n".join(f"{problem}{place}" for problem in problems))
    return _failure(
        "crashed", f"{type(error).__name__}: {error}{_place(error, root, root)}",
        "".join(traceback.format_exception(error)),
    )


def _problems(error: BaseException) -> list[str]:
    """The problems of a `PlatformError`, known by its name: the program may have another version of it, or none."""
    named = any(each.__name__ == "PlatformError" for each in type(error).__mro__)
    problems: Any = getattr(error, "problems", ())
    return [str(problem) for problem in problems] if named else []


def _place(error: BaseException, root: str, folder: str) -> str:
    """The last line of the project's own below a folder that led to the error; empty when there is none."""
    frames = [(os.path.abspath(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(file, line) for file, line in frames if file.startswith(folder + os.sep) and _is_source(file)]
    return f" ({os.path.relpath(own[-1][0], root)}, line {own[-1][1]})" if own else ""


def _is_source(file: str) -> bool:
    """Whether the file is the project's: no library of an environment inside it, no code that has no file."""
    return os.path.isfile(file) and not {"site-packages", "dist-packages"} & set(file.split(os.sep))


def _failure(kind: str, message: str, details: str = "") -> dict[str, Any]:
    return {"failure": {"kind": kind, "message": message, "details": details}}
