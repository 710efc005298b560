"""A language model for developers and tests: an API of the OpenAI kind that says the alphabet, slowly.

Owns what a real one does to its callers: streaming, taking its time, failing, noticing that a caller left; and counts
it. Run it with `python -m development.model`, and set `MODEL_URL=http://127.0.0.1:9100/v1`.
"""

import argparse
import asyncio
import json
import string
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


@dataclass
class StubModel:
    """What it does, and what happened to it."""

    pieces: tuple[str, ...] = tuple(string.ascii_lowercase)
    pause_seconds: float = 0.2
    """Before each piece."""
    status: int = 200
    """What it answers; only 200 has a stream."""
    line_after: dict[int, str] = field(default_factory=dict[int, str])
    """Lines that it sends after so many pieces, as they are."""
    breaks_after: int | None = None
    """After so many pieces it closes the connection."""
    forgets_end: bool = False
    """Whether the answer just stops, without the line that says so."""

    calls: int = 0
    """Accepted so far."""
    running: int = 0
    peak: int = 0
    """Most that ran at the same time."""
    completed: int = 0
    cancelled: int = 0
    """Whose callers left before the end."""
    bodies: list[Any] = field(default_factory=list[Any])
    """What was asked."""
    credentials: list[str] = field(default_factory=list[str])

    def app(self) -> Starlette:
        """Return the API."""
        return Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])

    async def _complete(self, request: Request) -> Response:
        self.calls += 1
        self.bodies.append(await request.json())
        self.credentials.append(request.headers.get("Authorization", ""))
        if self.status != 200:  # noqa: PLR2004
            return Response("internal: model-key-hunter2", self.status, headers={"Retry-After": "7"})
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncGenerator[str]:
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            for number, piece in enumerate(self.pieces):
                await asyncio.sleep(self.pause_seconds)
                if number in self.line_after:
                    yield f"{self.line_after[number]}\n\n"
                if number == self.breaks_after:
                    raise ConnectionAbortedError
                yield _chunk({"delta": {"content": piece}, "finish_reason": None})
            yield _chunk({"delta": {}, "finish_reason": "stop"})
            if not self.forgets_end:
                yield "data: [DONE]\n\n"
            self.completed += 1
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def _chunk(choice: dict[str, Any]) -> str:
    chunk = {"id": "stub", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    return f"data: {json.dumps(chunk)}\n\n"


def main() -> None:
    """Serve on loopback until a signal."""
    parser = argparse.ArgumentParser(description="A stand-in for a language model, on loopback.")
    parser.add_argument("--port", type=int, default=9100)
    uvicorn.run(StubModel().app(), port=parser.parse_args().port)


if __name__ == "__main__":
    main()
