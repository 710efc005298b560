"""Unhandled exceptions reach the tracker, tagged, and without anything that a user sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from taskiq import InMemoryBroker

from app.assistant.model import Event, ScriptedModel
from app.assistant.schemas import Delta, Message
from app.assistant.service import AssistantService, get_assistant
from app.chores import Chore, repeat
from app.error_reports import ErrorReports, open_error_reports
from app.jobs import JobRunner, Outcome
from app.main import create_app
from app.metrics import open_metrics
from app.queue import JobQueue
from app.settings import Settings
from tests.live import PATH, all_events, live, until
from tests.receivers import Receiver, receiving
from tests.support import production_settings, serve, signed_in, valid_settings


@pytest.fixture
def tracker() -> Iterator[Receiver]:
    """Give an error tracker."""
    with receiving() as receiver:
        yield receiver


def reporting_settings(tracker: Receiver) -> Settings:
    """Return settings of a production that reports."""
    dsn = f"http://public@127.0.0.1:{tracker.port}/1"
    return production_settings(sentry_dsn=dsn, release="r-17")


def broken_app(settings: Settings) -> FastAPI:
    """Return an application with a route that fails with local variables and a text full of secrets."""
    app = create_app(settings)

    @app.post("/v1/broken/{name}")
    async def broken(name: str, body: dict[str, str]) -> None:  # pyright: ignore[reportUnusedFunction]
        secret = body["password"]
        raise LookupError(f"no {name!r} with password={secret} for {secret!r}")

    return app


def events(tracker: Receiver) -> list[dict[str, Any]]:
    """Return the events that have arrived."""
    return [json.loads(each.body.splitlines()[2]) for each in tracker.received]


@pytest.mark.control("error-tracking", "log-redaction")
async def test_an_exception_of_a_route_arrives_once_with_its_tags_and_nothing_else(
    tracker: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = reporting_settings(tracker)
    async with serve(broken_app(settings)) as client:
        response = await client.post(
            "/v1/broken/hunter2 name?token=hunter2",
            json={"password": "hunter2"},
            headers={
                **signed_in(settings),
                "Cookie": "session=hunter2",
                "Host": "orders.test",
                "X-Api-Key": "hunter2",
            },
        )
    assert response.status_code == 500
    (event,) = events(tracker)
    assert (event["environment"], event["release"]) == ("production", "r-17")
    assert event["tags"]["where"] == "/v1/broken/{name}"
    assert event["tags"]["request_id"] == response.headers["X-Request-ID"]
    (exception,) = event["exception"]["values"]
    assert exception["type"] == "LookupError"
    assert exception["stacktrace"]["frames"][-1]["function"] == "broken"
    assert {"vars", "context_line", "pre_context"}.isdisjoint(exception["stacktrace"]["frames"][-1])
    assert set(event) <= {
        "environment",
        "event_id",
        "exception",
        "level",
        "platform",
        "release",
        "sdk",
        "tags",
        "timestamp",
    }
    assert b"hunter2" not in tracker.received[0].body
    logged = capsys.readouterr().out
    assert "LookupError: no " in logged
    assert "hunter2" not in logged


@asynccontextmanager
async def reporting(tracker: Receiver) -> AsyncGenerator[ErrorReports]:
    """Give reports that arrive at the latest when the block ends, and are counted."""
    settings = reporting_settings(tracker)
    async with open_metrics(valid_settings()) as metrics, open_error_reports(settings, metrics) as reports:
        yield reports
    assert metrics.registry.get_sample_value("unhandled_exceptions_total", {"type": "LookupError"}) == 1


def assert_arrived(tracker: Receiver, where: str) -> None:
    (event,) = events(tracker)
    assert (event["environment"], event["release"], event["tags"]["where"]) == ("production", "r-17", where)
    assert b"hunter2" not in tracker.received[0].body


def ignore(_job: str, _outcome: Outcome, _seconds: float) -> None:
    """Observe nothing."""


async def fail(*_arguments: object) -> Any:
    """Do what code with a mistake does."""
    raise LookupError("'hunter2 of somebody'")


@pytest.mark.control("error-tracking")
async def test_an_exception_of_a_job_arrives(tracker: Receiver) -> None:
    async with reporting(tracker) as reports:
        broker = InMemoryBroker()
        JobRunner({"exports.run": fail}, ignore, reports).register(broker)
        assert await JobQueue(broker).put("exports.run", uuid4(), "request-0815")
        await broker.wait_all()
    assert_arrived(tracker, "exports.run")
    assert events(tracker)[0]["tags"]["request_id"] == "request-0815"


@pytest.mark.control("error-tracking")
async def test_an_exception_of_a_chore_arrives(tracker: Receiver) -> None:
    async with reporting(tracker) as reports:
        repeating = asyncio.create_task(repeat(Chore("sweep", fail, every_seconds=3600), reports))
        await until(lambda: tracker.received)
        repeating.cancel()
    assert_arrived(tracker, "sweep")


@pytest.mark.control("error-tracking")
async def test_an_exception_in_the_middle_of_a_stream_arrives(tracker: Receiver) -> None:
    """The answer is 200 by then, so that no middleware sees it."""

    class Broken(ScriptedModel):
        @asynccontextmanager
        async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[AsyncGenerator[Event]]:
            async def events() -> AsyncGenerator[Event]:
                yield Delta(text="a")
                await fail()

            async with aclosing(events()) as broken:
                yield broken

    dsn = f"http://public@127.0.0.1:{tracker.port}/1"
    async with live(valid_settings(sentry_dsn=dsn)) as service:
        assistant = AssistantService(Broken(), service.turns, stream_max_seconds=10)
        service.app.dependency_overrides[get_assistant] = lambda: assistant
        async with service.asking() as response:
            *_, (name, problem) = await all_events(response)
    assert (name, problem["status"]) == ("error", 500)
    (event,) = events(tracker)
    assert event["tags"]["where"] == PATH
    assert event["tags"]["request_id"] == response.headers["X-Request-ID"]
    assert b"hunter2" not in tracker.received[0].body


async def test_what_is_answered_with_a_problem_is_not_reported(tracker: Receiver) -> None:
    async with serve(create_app(reporting_settings(tracker))) as client:
        await client.get("/v1/nothing", headers={"Host": "orders.test"})
        await client.get("/v1/orders/x", headers={"Host": "orders.test"})
    assert events(tracker) == []


async def test_a_tracker_that_is_away_changes_no_answer() -> None:
    dsn = "http://public@127.0.0.1:1/1"
    async with serve(broken_app(valid_settings(sentry_dsn=dsn))) as client:
        response: httpx.Response = await client.post("/v1/broken/x", json={"password": "x"})
    assert response.status_code == 500
