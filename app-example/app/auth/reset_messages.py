"""The way out for the messages about password resets.

Owns what such a message carries, and the call that hands it over. Deliberately sends no mail: that is another system's
work. It is told with a POST of JSON, `{"email": …, "token": …, "expires_in_seconds": …}`, once or several times with
the same `Idempotency-Key`; whatever it answers with 2xx it has taken over. The token opens the account: it belongs into
the fragment of a link, which no server logs. Neither may be logged here: one is personal, the other a secret.
"""

import json
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from app.outbound import IDEMPOTENCY_KEY, Outbound, Reason, UpstreamUnavailableError
from app.settings import Settings

SERVICE = "reset messages"
"""The receiver's name in log lines."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetMessage:
    """Tells the owner of an account how to choose a new password."""

    id: UUID
    """Of this message: no other has its token."""
    email: str = field(repr=False)
    """Whom to tell."""
    token: str = field(repr=False)
    """What the owner must bring along."""
    lifetime: timedelta
    """How long that is of use."""


class ResetMessages(Protocol):
    """Hands messages over to whatever delivers them; returns when they cannot be lost any more."""

    async def send(self, message: ResetMessage) -> None:
        """Hand over one message.

        Raises:
            UpstreamUnavailableError: It was not taken over, or nobody knows.
        """
        ...


class NoResetMessages:
    """Delivers nothing, and says so; for a developer's machine."""

    async def send(self, message: ResetMessage) -> None:
        """Drop a message."""
        _logger.warning("a password reset goes nowhere: RESET_MESSAGES_URL is not set")


class OutboundResetMessages:
    """Hands messages to another service."""

    def __init__(self, outbound: Outbound, url: str, api_key: str | None) -> None:
        """Take the HTTP client, the address of the receiver and the credential for it."""
        self._outbound = outbound
        self._url = url
        self._authorization = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}

    async def send(self, message: ResetMessage) -> None:
        """Hand over one message.

        Raises:
            UpstreamUnavailableError: It was not taken over, or nobody knows.
        """
        content = {
            "email": message.email,
            "token": message.token,
            "expires_in_seconds": int(message.lifetime.total_seconds()),
        }
        headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: str(message.id), **self._authorization}
        response = await self._outbound.call(
            SERVICE, "POST", self._url, content=json.dumps(content).encode(), headers=headers
        )
        if not response.is_success:
            raise UpstreamUnavailableError(SERVICE, Reason.BROKEN, f"status {response.status_code}")


def open_reset_messages(settings: Settings, outbound: Outbound) -> ResetMessages:
    """Return the way out that the settings name."""
    if settings.reset_messages_url is None:
        return NoResetMessages()
    key = settings.reset_messages_api_key
    return OutboundResetMessages(outbound, settings.reset_messages_url, key.get_secret_value() if key else None)
