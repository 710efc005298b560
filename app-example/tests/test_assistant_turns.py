"""Turns with the model: how many run, who waits, who is told to come back."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from app.assistant.service import REPLIES_PER_USER
from app.assistant.turns import BusyError, Turns
from development.model import StubModel
from tests.live import PATH, QUESTION, Live, all_events, base_url, listening_app, live, until
from tests.support import valid_settings


def settings_for(model_url: str, **overrides: object) -> Any:
    """Return settings of a service with two turns and three places to wait."""
    few = {"model_concurrency": 2, "model_queue": 3, "model_queue_seconds": 5, **overrides}
    return valid_settings(model_url=f"{model_url}/v1", **few)


async def ask(service: Live) -> tuple[int, str | None]:
    """Ask as somebody else than the others, and return the status and how the stream ended."""
    async with service.asking(as_another=True) as response:
        if response.status_code != 200:
            return response.status_code, response.headers["Retry-After"]
        return response.status_code, (await all_events(response))[-1][0]


@pytest.mark.control("inference-concurrency-limit")
async def test_no_more_calls_run_than_turns_and_no_more_callers_wait_than_places() -> None:
    stub = StubModel(pieces=("x",) * 5, pause_seconds=0.1)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model))) as service:
        asking = [asyncio.create_task(ask(service)) for _ in range(12)]
        await until(lambda: sum(task.done() for task in asking) == 7)
        assert (service.turns.in_use, service.turns.waiting) == (2, 3)
        answers = await asyncio.gather(*asking)
    assert sorted(answers) == [(200, "done")] * 5 + [(503, "5")] * 7
    assert (stub.peak, stub.calls, stub.completed) == (2, 5, 5)


@pytest.mark.control("inference-concurrency-limit")
async def test_one_user_does_not_take_all_turns() -> None:
    stub = StubModel(pause_seconds=60)
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model), model_concurrency=8)) as service:
        async with AsyncExitStack() as stack:
            for _ in range(REPLIES_PER_USER):
                await stack.enter_async_context(service.asking())
            async with asyncio.timeout(20):
                refused = await service.client.post(PATH, json=QUESTION)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
            assert refused.headers["Content-Type"] == "application/problem+json"
            other = await stack.enter_async_context(service.asking(as_another=True))
            assert other.status_code == 200
        await until(lambda: service.turns.in_use == 0)
        stub.pause_seconds = 0
        async with service.asking() as again:
            assert (await all_events(again))[-1][0] == "done"
    assert stub.calls == REPLIES_PER_USER + 2


@pytest.mark.control("inference-concurrency-limit")
async def test_a_caller_waits_for_a_bounded_time() -> None:
    stub = StubModel(pause_seconds=60)
    few = {"model_concurrency": 1, "model_queue_seconds": 0.2}
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model), **few)) as service:
        async with service.asking():
            response = await service.client.post(PATH, json=QUESTION)
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
            assert response.headers["Content-Type"] == "application/problem+json"
    assert stub.calls == 1


@pytest.mark.control("inference-concurrency-limit", "stream-cancel-on-disconnect")
async def test_a_caller_that_leaves_while_it_waits_gives_its_place_back() -> None:
    stub = StubModel(pause_seconds=60)
    one = {"model_concurrency": 1, "model_queue": 1, "model_queue_seconds": 60}
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model), **one)) as service:
        async with service.asking():
            waiting = asyncio.create_task(ask(service))
            await until(lambda: service.turns.waiting == 1)
            waiting.cancel()
            await until(lambda: service.turns.waiting == 0, seconds=1)
    assert stub.calls == 1


@pytest.mark.control("stream-cancel-on-disconnect")
async def test_a_turn_that_a_leaving_client_had_is_the_next_ones() -> None:
    stub = StubModel(pause_seconds=60)
    one = {"model_concurrency": 1, "model_queue_seconds": 60}
    async with listening_app(stub.app()) as model, live(settings_for(base_url(model), **one)) as service:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(service.asking())
            stub.pause_seconds = 0
            next_one = asyncio.create_task(ask(service))
            await until(lambda: service.turns.waiting == 1)
            await stack.aclose()
            assert await asyncio.wait_for(next_one, timeout=1) == (200, "done")
    assert (stub.peak, stub.cancelled) == (1, 1)


@pytest.mark.control("inference-concurrency-limit")
async def test_the_first_to_come_is_the_first_to_be_served() -> None:
    turns = Turns(1, queue=10, queue_seconds=5)
    served: list[int] = []

    async def take(number: int) -> None:
        async with turns.turn():
            served.append(number)
            await asyncio.sleep(0)

    async with turns.turn():
        tasks: list[asyncio.Task[None]] = []
        for number in range(10):
            tasks.append(asyncio.create_task(take(number)))
            await until(lambda: turns.waiting == len(tasks))
        with pytest.raises(BusyError):
            async with turns.turn():
                pass
    await asyncio.gather(*tasks)
    assert served == list(range(10))
    assert (turns.in_use, turns.waiting) == (0, 0)


@pytest.mark.control("inference-concurrency-limit")
async def test_no_turn_is_lost_whoever_gives_up_when() -> None:
    """Cancelled, timed out or failed at any moment: in the end all turns are free again."""
    turns = Turns(3, queue=100, queue_seconds=0.02)

    async def work(number: int) -> None:
        async with turns.turn():
            await asyncio.sleep(0.001 * (number % 7))
            if number % 5 == 0:
                raise httpx.ReadError("broken")

    tasks = [asyncio.create_task(work(number)) for number in range(200)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            task.cancel()
        if number % 10 == 0:
            await asyncio.sleep(0.001)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (turns.in_use, turns.waiting) == (0, 0)
    async with turns.turn(), turns.turn(), turns.turn():
        assert turns.in_use == 3
