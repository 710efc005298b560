"""The way out for the messages about password resets.

Owns what such a message must carry and what happens when nothing delivers it. Deliberately sends nothing: mail is
another system's work, and an implementation only hands over to it. Neither part of a message may be logged: one is
personal, the other opens the account.
"""

import logging
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetMessage:
    """Tells the owner of an account how to choose a new password."""

    email: str = field(repr=False)
    """Whom to tell."""
    token: str = field(repr=False)
    """What the owner must bring along: it belongs into the fragment of a link, which no server logs."""


class ResetMessages(Protocol):
    """Hands messages over to whatever delivers them; returns when they cannot be lost any more."""

    async def send(self, message: ResetMessage) -> None:
        """Take over one message."""
        ...


class NoResetMessages:
    """Delivers nothing, and says so."""

    async def send(self, message: ResetMessage) -> None:
        """Drop a message."""
        _logger.warning("a password reset goes nowhere: nothing is configured that delivers its message")


async def get_reset_messages(request: Request) -> ResetMessages:
    """Find the way out that the lifespan chose."""
    found: ResetMessages = request.state.reset_messages
    return found


OutgoingResetMessages = Annotated[ResetMessages, Depends(get_reset_messages)]
