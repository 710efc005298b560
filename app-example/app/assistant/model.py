"""The language model.

Owns how one is asked and how its answer is read, over an API of the OpenAI kind, and a scripted one for machines that
have none. Deliberately logs nothing that was said.
Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, ValidationError

from app.assistant.schemas import Delta, Done, Message
from app.outbound import Outbound, Reason, UpstreamUnavailableError
from app.settings import Settings

SERVICE = "model"
"""Name in errors and log lines."""
SYSTEM_PROMPT = "You help the customers of a shop with their orders. Answer in plain words, and briefly."
LINE_MAX_BYTES = 65_536
REPLY_MAX_BYTES = 4_194_304
"""Largest answer of the API; a piece of a few letters comes in about 300 bytes."""

Event = Delta | Done


class Model(Protocol):
    """What answers a conversation."""

    def reply(self, messages: Sequence[Message]) -> AbstractAsyncContextManager[AsyncGenerator[Event]]:
        """Give the answer as it is made; entered once the model has accepted, left it makes no more.

        Raises:
            UpstreamUnavailableError: The model does not accept, or breaks off.
        """
        ...


class OpenAiModel:
    """A model behind an API of the OpenAI kind."""

    def __init__(self, outbound: Outbound, *, url: str, api_key: str | None, name: str) -> None:
        """Take the client, the API's address up to `/v1`, its key, and which model to ask."""
        self._outbound = outbound
        self._url = f"{url}/chat/completions"
        self._headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._name = name

    @asynccontextmanager
    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[AsyncGenerator[Event]]:
        """Ask the API; see `Model`."""
        conversation = [{"role": "system", "content": SYSTEM_PROMPT}, *(message.model_dump() for message in messages)]
        content = json.dumps({"model": self._name, "messages": conversation, "stream": True}).encode()
        async with (
            self._outbound.stream(SERVICE, "POST", self._url, content=content, headers=self._headers) as chunks,
            aclosing(_events(chunks)) as events,
        ):
            yield events


class ScriptedModel:
    """Says the same to everybody, in pieces; for a machine that reaches no model."""

    PIECES = ("This ", "is ", "a ", "scripted ", "reply: ", "no ", "MODEL_URL ", "is ", "set.")
    PAUSE_SECONDS = 0.05

    @asynccontextmanager
    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[AsyncGenerator[Event]]:
        """Say it; see `Model`."""
        del messages
        async with aclosing(self._events()) as events:
            yield events

    async def _events(self) -> AsyncGenerator[Event]:
        for piece in self.PIECES:
            await asyncio.sleep(self.PAUSE_SECONDS)
            yield Delta(text=piece)
        yield Done(reason="complete")


def choose_model(settings: Settings, outbound: Outbound) -> Model:
    """Return the model that the settings name; only a developer's machine may do without."""
    if settings.model_url is None:
        return ScriptedModel()
    key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    return OpenAiModel(outbound, url=settings.model_url, api_key=key, name=settings.model_name)


class _ChunkDelta(BaseModel):
    content: Annotated[str | None, Field(max_length=LINE_MAX_BYTES)] = None


class _Choice(BaseModel):
    delta: _ChunkDelta = _ChunkDelta()
    finish_reason: str | None = None


class _Chunk(BaseModel):
    """What we read of one line; the API may add more at any time."""

    choices: list[_Choice]


async def _events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event]:
    """Read the answer up to its `[DONE]`; one without has broken off."""
    reason: Literal["complete", "length"] = "complete"
    async with aclosing(_lines(chunks)) as lines:
        async for line in lines:
            name, _, data = line.partition(b":")
            if name != b"data":
                continue
            if data.strip() == b"[DONE]":
                yield Done(reason=reason)
                return
            for choice in _choices(data):
                reason = "length" if choice.finish_reason == "length" else reason
                if choice.delta.content:
                    yield Delta(text=choice.delta.content)
    raise UpstreamUnavailableError(SERVICE, Reason.BROKEN, "answer without an end")


def _choices(data: bytes) -> list[_Choice]:
    try:
        # The first is all that we asked for; a line with figures about the answer has none.
        return _Chunk.model_validate_json(data).choices[:1]
    except ValidationError:
        raise UpstreamUnavailableError(SERVICE, Reason.BROKEN, "answer not understood") from None


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Cut the answer into lines, none of them longer than we want to hold."""
    rest = b""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if size > REPLY_MAX_BYTES or max(map(len, (*lines, rest))) > LINE_MAX_BYTES:
            raise UpstreamUnavailableError(SERVICE, Reason.BROKEN, "answer too large")
        for line in lines:
            yield line.rstrip(b"\r")
