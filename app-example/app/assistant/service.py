"""What one can do with the assistant.

Owns the order of things: the caller's share, a turn, the model. Lives as long as the process and needs no database, so
that no connection is held while a model thinks. Deliberately knows no HTTP.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request

from app.assistant.model import Event, Model, choose_model
from app.assistant.schemas import Message
from app.assistant.turns import Turns
from app.auth.tokens import Identity
from app.outbound import Outbound
from app.settings import Settings
from app.shares import Shares

REPLIES_PER_USER = 2
"""Replies that one user of a process waits for or reads at the same time: two windows, and never all turns."""


class AssistantService:
    """The model and the turns with it, for the process."""

    def __init__(self, model: Model, turns: Turns, *, stream_max_seconds: float) -> None:
        """Take the model, the turns, and how long a reply may take."""
        self._model = model
        self._shares = Shares(REPLIES_PER_USER)
        self.turns = turns
        self.stream_max_seconds = stream_max_seconds

    @asynccontextmanager
    async def reply(self, identity: Identity, messages: Sequence[Message]) -> AsyncGenerator[AsyncGenerator[Event]]:
        """Give the model's reply as it is made; entered once the model has accepted, left it makes no more.

        Raises:
            ShareExceededError: The caller has as many replies as one may have.
            BusyError: There is no turn to be had soon.
            UpstreamUnavailableError: The model does not accept, or breaks off.
        """
        with self._shares.taken(identity.user_id):
            async with self.turns.turn(), self._model.reply(messages) as events:
                yield events


def open_assistant(settings: Settings, outbound: Outbound) -> AssistantService:
    """Build the assistant of one process."""
    turns = Turns(settings.model_concurrency, queue=settings.model_queue, queue_seconds=settings.model_queue_seconds)
    model = choose_model(settings, outbound)
    return AssistantService(model, turns, stream_max_seconds=settings.stream_max_seconds)


async def get_assistant(request: Request) -> AssistantService:
    """Find the assistant that the lifespan made."""
    found: AssistantService = request.state.assistant
    return found


Assistant = Annotated[AssistantService, Depends(get_assistant)]
