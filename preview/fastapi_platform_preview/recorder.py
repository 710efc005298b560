"""Runs a Pulumi program under a recording monitor: no engine, no provider, no cloud.

Owns, with `monitor.py`, every contact with the SDK's internals. Deliberately judges nothing and imports nothing of ours
but the monitor: both also run in the environment of somebody else's program.
Source: https://github.com/pulumi/pulumi/tree/master/sdk/python/lib/pulumi/runtime
"""

import asyncio
import contextlib
import contextvars
import inspect
import json
import logging
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import pulumi
from pulumi.runtime import mocks, settings
from pulumi.runtime import stack as stack_runtime

from .monitor import Answer, Recording, RecordingEngine, RecordingMonitor, Refusal

__all__ = ["Answer", "Deployment", "Recording", "Refusal", "record"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Deployment:
    """What the engine tells a program about itself."""

    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text by full key (`project:key`)."""
    organization: str = "organization"
    root_directory: str = ""
    """Where Pulumi.yaml is."""
    secret_keys: Sequence[str] = ()
    """Keys whose value is secret."""


class _Inline(ThreadPoolExecutor):
    """Runs each call where it is made: there is no network to wait for, and the order stays the program's."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def record(program: Callable[[], Any], deployment: Deployment, answers: Sequence[Answer] = ()) -> Recording:
    """Run a program to its end and return what it registered.

    Args:
        program: Called without arguments, inside a stack.
        deployment: What the program can ask the engine about itself.
        answers: What data sources and reads answer; every other question is refused.

    Raises:
        Refusal: when the program asks for what only the engine or a cloud can answer.
        Exception: whatever the program raises.
    """
    recording = Recording()
    variables = {
        "PULUMI_CONFIG": json.dumps(dict(deployment.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(deployment.secret_keys)),
    }
    with _environment(variables):
        # A fresh context: the SDK keeps the program that is running in context variables.
        contextvars.Context().run(_run, program, deployment, RecordingMonitor(recording, answers), recording)
    return recording


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    """The variables in which the language host hands over the configuration, for as long as the program runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _run(
    program: Callable[[], Any], deployment: Deployment, monitor: RecordingMonitor, recording: Recording
) -> None:
    settings.configure(_settings(deployment, monitor, RecordingEngine(recording)))
    pulumi.runtime.set_all_config(dict(deployment.config), list(deployment.secret_keys))
    _quiet_asyncio()
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Inline())
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(stack_runtime.run_in_stack(program))
    finally:
        _abandon(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _settings(deployment: Deployment, monitor: RecordingMonitor, engine: RecordingEngine) -> settings.Settings:
    return mocks.MockSettings(
        monitor=monitor,
        monitor_features=set(),
        engine=engine,
        project=deployment.project,
        stack=deployment.stack,
        dry_run=True,
        organization=deployment.organization,
        root_directory=deployment.root_directory,
        callbacks=None,
        lock=threading.Lock(),
        outputs=set(),
        package_refs={},
        base_providers_by_ref={},
    )


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    """End what a refused program leaves behind: tasks that nobody will await."""
    left = asyncio.all_tasks(loop)
    for task in left:
        _close_what_it_would_await(task)
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def _close_what_it_would_await(task: "asyncio.Task[Any]") -> None:
    """Close the coroutines that a task has taken over and not begun: Python would warn that nobody awaits them."""
    coroutine = task.get_coro()
    frame = coroutine.cr_frame if inspect.iscoroutine(coroutine) else None
    for value in list(frame.f_locals.values()) if frame else ():
        if inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
            value.close()


def _quiet_asyncio() -> None:
    # The refusal says why a program ended; asyncio's log would repeat it for every task that was under way.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
