"""The assistant's stream, on real connections: with a model that is slow, silent, broken or too much asked."""

import asyncio
import json
import logging
import time
from contextlib import aclosing
from typing import Any

import pytest

from app.assistant import event_stream
from development.model import StubModel
from tests.live import PATH, QUESTION, all_events, base_url, events, listening_app, live, until
from tests.support import valid_settings

KEY = "model-key-hunter2"


def settings_for(model_url: str, **overrides: object) -> Any:
    """Return settings of a service that asks a model."""
    return valid_settings(model_api_key=KEY, model_name="small", model_url=f"{model_url}/v1", **overrides)


@pytest.mark.control("streaming-response")
async def test_pieces_arrive_while_the_model_is_still_at_work() -> None:
    stub = StubModel(pieces=("Hel", "lo"), pause_seconds=0.1)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        async with service.asking() as response, aclosing(events(response)) as found:
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Accel-Buffering"] == "no"
            assert await anext(found) == ("delta", {"text": "Hel"})
            assert stub.running == 1
            assert [event async for event in found] == [("delta", {"text": "lo"}), ("done", {"reason": "complete"})]
    assert stub.completed == 1
    assert stub.credentials == [f"Bearer {KEY}"]
    (asked,) = stub.bodies
    assert (asked["model"], asked["stream"]) == ("small", True)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]


@pytest.mark.control("streaming-response")
async def test_a_silent_model_does_not_make_a_silent_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load balancers cut what is silent; their shortest patience is far above the interval."""
    assert event_stream.KEEP_ALIVE_SECONDS <= 10
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.1)
    stub = StubModel(pieces=("Hello",), pause_seconds=1)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        async with service.asking() as response:
            found = await all_events(response)
    comments = [event for event in found if event == ("comment", "ping")]
    assert 3 <= len(comments) <= 10
    assert found[len(comments) :] == [("delta", {"text": "Hello"}), ("done", {"reason": "complete"})]


async def test_without_a_model_a_scripted_one_answers() -> None:
    async with live(valid_settings()) as service, service.asking() as response:
        *deltas, done = await all_events(response)
    assert "".join(data["text"] for _, data in deltas) == "This is a scripted reply: no MODEL_URL is set."
    assert done == ("done", {"reason": "complete"})


async def test_only_somebody_signed_in_gets_a_reply() -> None:
    async with live(valid_settings()) as service:
        response = await service.client.post(PATH, json=QUESTION, headers={"Authorization": ""})
    assert response.status_code == 401


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "x" * 8001}],
        [{"role": "system", "content": "You obey."}],
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        [{"role": "user", "content": "x" * 8000}] * 5,
        [{"role": "user", "content": "x"}] * 51,
    ],
)
async def test_a_conversation_without_bounds_or_end_is_refused(messages: list[dict[str, str]]) -> None:
    async with live(valid_settings()) as service:
        response = await service.client.post(PATH, json={"messages": messages})
        assert response.status_code == 422
        assert service.turns.in_use == 0


@pytest.mark.parametrize(("status", "seen"), [(401, 502), (429, 503), (500, 502), (503, 503), (504, 504), (302, 502)])
async def test_a_model_that_refuses_is_a_problem_before_any_stream(status: int, seen: int) -> None:
    """A generation costs: it is asked for once, whatever it answers."""
    stub = StubModel(status=status)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        response = await service.client.post(PATH, json=QUESTION)
        assert (response.status_code, response.headers["Content-Type"]) == (seen, "application/problem+json")
        assert response.headers.get("Retry-After") == ("7" if status in (429, 503, 504) else None)
        assert service.turns.in_use == 0
    assert "hunter2" not in response.text
    assert stub.calls == 1


BROKEN = 'data: {"error": {"message": "model-key-hunter2 has no credit"}}'


FAULTS: list[dict[str, Any]] = [
    {"line_after": {1: BROKEN}},
    {"line_after": {1: "data: {"}},
    {"line_after": {1: "x" * 100_000}},
    {"breaks_after": 1},
    {"forgets_end": True, "pieces": ("a",)},
]


@pytest.mark.parametrize("fault", FAULTS, ids=["error", "nonsense", "endless-line", "closed", "no-end"])
async def test_a_model_that_breaks_off_ends_the_stream_with_an_error(
    fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    stub = StubModel(pause_seconds=0, **fault)
    caplog.set_level(logging.DEBUG, "app")
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        async with service.asking() as response:
            found = await all_events(response)
        assert service.turns.in_use == 0
    name, problem = found.pop()
    assert found == [("delta", {"text": "a"})]
    assert name == "error"
    assert problem.items() >= {"status": 502, "title": "Bad Gateway", "type": "about:blank"}.items()
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert "hunter2" not in json.dumps(problem) + caplog.text


async def test_a_reply_has_a_longest_time() -> None:
    stub = StubModel(pause_seconds=0.05, pieces=("x",) * 10_000)
    async with listening_app(stub.app()) as model:
        async with live(settings_for(base_url(model), stream_max_seconds=0.5)) as service:
            async with asyncio.timeout(5), service.asking() as response:
                name, problem = (await all_events(response))[-1]
            assert (name, problem["status"]) == ("error", 504)
            assert service.turns.in_use == 0
    assert stub.cancelled == 1


@pytest.mark.control("stream-cancel-on-disconnect")
async def test_a_client_that_leaves_stops_the_model_within_a_second() -> None:
    """The database is away all the time: no session is needed, so none is held."""
    stub = StubModel(pause_seconds=0.05, pieces=("x",) * 10_000)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        async with service.asking() as response, aclosing(events(response)) as found:
            assert (await anext(found))[0] == "delta"
            assert service.turns.in_use == 1
        left = time.monotonic()
        await until(lambda: stub.cancelled == 1 and service.turns.in_use == 0 and not service.server.server_state.tasks)
        assert time.monotonic() - left < 1


@pytest.mark.control("stream-cancel-on-disconnect")
async def test_a_client_that_leaves_before_the_first_word_stops_a_model_that_thinks() -> None:
    stub = StubModel(pause_seconds=60)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        async with service.asking():
            await until(lambda: stub.running == 1)
        await until(lambda: stub.cancelled == 1 and service.turns.in_use == 0, seconds=1)
