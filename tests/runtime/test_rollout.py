"""Three rollouts of two servers under clients that keep their connections open: ours, and the control."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from tests.runtime.servers import OURS, PLAIN, Served, running

CLIENTS = 16
REMOVAL_LAG_SECONDS = 0.5
"""Until no new connection reaches a server that is being stopped."""
ROLLOUTS = 3
RUNS_OF_THE_CONTROL = 5
THINK_SECONDS = 0.002
"""Between an answer and the next request of a client."""
Start = Callable[[], Served]


@dataclass
class Service:
    """Servers behind one name, as their clients see it: only new connections are spread."""

    endpoints: list[Served]
    answered: int = 0
    failed: list[str] = field(default_factory=list[str])
    done: bool = False

    async def client(self, number: int) -> None:
        """Ask until the end; a connection is used until it is closed or its server says `Connection: close`."""
        while not self.done:
            server = self.endpoints[number % len(self.endpoints)]
            number += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                await self._use(reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stays = True
        # A connection that is seen to be closed before it is used again costs nothing.
        while stays and not self.done and not reader.at_eof():
            writer.write(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n")
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError) as exc:
                self.failed.append(repr(exc))
                return
            assert head.startswith(b"HTTP/1.1 200 ")
            self.answered += 1
            stays = b"connection: close" not in head.lower()
            await asyncio.sleep(THINK_SECONDS)


async def roll_out(service: Service, start: Start, pre_stop_seconds: float) -> None:
    """Replace every server once: start a new one, remove the old one, tell it to stop."""
    for old in tuple(service.endpoints):
        new = await asyncio.to_thread(start)
        service.endpoints.append(new)
        removal = asyncio.get_running_loop().call_later(REMOVAL_LAG_SECONDS, service.endpoints.remove, old)
        await asyncio.sleep(pre_stop_seconds)
        old.tell()
        status, output = await asyncio.to_thread(old.end)
        assert status in (0, -15), output
        assert removal.when() < asyncio.get_running_loop().time()


async def measure(start: Start, pre_stop_seconds: float) -> Service:
    service = Service([start(), start()])
    clients = [asyncio.create_task(service.client(number)) for number in range(CLIENTS)]
    for _ in range(ROLLOUTS):
        await roll_out(service, start, pre_stop_seconds)
    service.done = True
    await asyncio.gather(*clients)
    return service


def run(module: tuple[str, ...], *options: str, pre_stop_seconds: float) -> Service:
    common = ("--timeout-graceful-shutdown", "5", "--timeout-keep-alive", "30", "--no-server-header")
    with ExitStack() as stack:
        def start() -> Served:
            return stack.enter_context(running(module, *common, *options))

        return asyncio.run(measure(start, pre_stop_seconds))


@pytest.mark.services
@pytest.mark.parametrize("workers", ["1", "2"])
def test_three_rollouts_fail_no_request(workers: str, record_property: Callable[[str, object], None]):
    service = run(OURS, "--lame-duck", "2", "--workers", workers, pre_stop_seconds=0)
    record_property("requests", service.answered)
    print(f"lame duck, {workers} workers: {len(service.failed)} of {service.answered} failed")  # noqa: T201
    assert service.failed == []
    assert service.answered > 1000


@pytest.mark.services
def test_plain_uvicorn_fails_some_in_spite_of_a_pre_stop_sleep():
    """The control; all connections are idle between requests when it closes them.

    Which of them are asked at that moment is chance, so it has several; `test_lame_duck.py` has the one without.
    """
    runs: list[Service] = []
    while not any(each.failed for each in runs) and len(runs) < RUNS_OF_THE_CONTROL:
        runs.append(run(PLAIN, pre_stop_seconds=2))
        failed, answered = len(runs[-1].failed), runs[-1].answered
        print(f"plain uvicorn: {failed} of {answered + failed} failed")  # noqa: T201
    assert runs[-1].failed
