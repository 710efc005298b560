"""A few clients that never stop asking, and what they were answered.

Owns the load and its record. Deliberately light: what is looked for are wrong answers, not the limits of a machine.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from tests.auth.support import PASSWORD, bearer, new_email, register, sign_in

CLIENTS = 3
PAUSE_SECONDS = 0.02
"""Between two requests of one client."""
SKU = "MUG-1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to."""

    what: str
    status: int
    """0 where no answer came."""
    media_type: str
    began: float
    """On the monotonic clock."""
    seconds: float
    error: str = ""
    """Why no answer came."""


@dataclass
class Load:
    """Clients of one service, and their answers so far."""

    url: str
    headers: dict[str, str]
    answers: list[Answer] = field(default_factory=list[Answer])
    stopping: bool = False

    def since(self, began: float) -> list[Answer]:
        """Return the answers to what was asked since then."""
        return [answer for answer in self.answers if answer.began >= began]

    async def run(self) -> None:
        """Ask in turn until told to stop, on one connection that is kept."""
        async with httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=60, trust_env=False) as client:
            for method, path in itertools.cycle(_REQUESTS):
                if self.stopping:
                    return
                self.answers.append(await _ask(client, method, path))
                await asyncio.sleep(PAUSE_SECONDS)


_REQUESTS = (
    ("GET", f"/v1/products/{SKU}"),
    ("GET", "/v1/products"),
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders"),
    ("GET", "/v1/orders/summary"),
    ("GET", "/v1/auth/me"),
)


async def _ask(client: httpx.AsyncClient, method: str, path: str) -> Answer:
    began = time.monotonic()
    status, media_type, error = 0, "", ""
    body = {"sku": SKU, "quantity": 1} if method == "POST" else None
    headers = {"Idempotency-Key": str(uuid4())} if body else {}
    try:
        response = await client.request(method, path, json=body, headers=headers)
        status, media_type = response.status_code, response.headers.get("Content-Type", "")
    except httpx.TransportError as exc:
        error = type(exc).__name__
    return Answer(f"{method} {path}", status, media_type, began, time.monotonic() - began, error)


@asynccontextmanager
async def load(url: str) -> AsyncGenerator[Load]:
    """Open an account, sign in, and let the clients ask; what they raise ends the test."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        email = new_email()
        assert (await register(client, email, PASSWORD)).status_code == 202
        token = await sign_in(client, email, PASSWORD)
        assert token.status_code == 200, token.text
    running = Load(url, bearer(token.json()["access_token"]))
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(running.run())
        try:
            yield running
        finally:
            running.stopping = True


def figures(answers: list[Answer]) -> str:
    """Return the answers in figures: how many of each status, and the slowest."""
    counts = Counter(answer.status or answer.error for answer in answers)
    told = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items(), key=str))
    return f"{len(answers)} requests ({told}), slowest {max((a.seconds for a in answers), default=0):.2f} s"


def statuses(answers: list[Answer]) -> set[int]:
    """Return the statuses that occurred."""
    return {answer.status for answer in answers}


def wrong(answers: list[Answer]) -> Iterator[Answer]:
    """Return the answers that an outage does not excuse: neither a success nor a problem with the status 503."""
    for answer in answers:
        excused = answer.status == 503 and answer.media_type == "application/problem+json"
        if not excused and answer.status not in (200, 201):
            yield answer
