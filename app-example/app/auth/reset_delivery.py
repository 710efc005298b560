"""Handing over the messages about password resets: a worker's share.

Owns that a reset which somebody asked for becomes a message, whatever dies meanwhile: the row of the request is what
has to be done, and goes when the receiver has taken the message over. A token is made for each attempt and is in
memory alone, Postgres has its hash: an attempt whose end nobody knows makes a second message, and the token of the
first is then worth nothing. Whether the address has an account is found out here, long after the answer.
"""

import asyncio
import logging
from uuid import UUID, uuid4

from app.auth.jobs import RESET
from app.auth.opaque_tokens import new_token, token_hash
from app.auth.repository import AccountRepository, ClaimedReset, PasswordResetRepository, ResetRequestRepository
from app.auth.reset_messages import ResetMessage, ResetMessages
from app.auth.resets import GIVE_UP_AFTER, RESET_LIFETIME
from app.database import Database
from app.jobs import Outcome
from app.outbound import UpstreamUnavailableError
from app.pace import Pace
from app.queue import JobQueue

HANDOVER_SECONDS = 20.0
"""Longest that one attempt takes to hand a message over."""
CLAIM_SECONDS = 30.0
"""Longer than an attempt: until then nobody else tries."""

_logger = logging.getLogger(__name__)


class ResetDelivery:
    """Makes messages of what was asked for."""

    def __init__(self, database: Database, messages: ResetMessages, queue: JobQueue, pace: Pace) -> None:
        """Take the rows, the way out, the way to the workers and the times."""
        self._database = database
        self._messages = messages
        self._queue = queue
        self._pace = pace

    async def run(self, request_id: UUID) -> Outcome:
        """Hand over the message of a request if it is time and nobody else does; nothing for an unknown address."""
        begun = await self._begin(request_id)
        if begun is None:
            return Outcome.IDLE
        message, claimed = begun
        try:
            async with asyncio.timeout(HANDOVER_SECONDS):
                await self._messages.send(message)
        except UpstreamUnavailableError as exc:
            return await self._later(request_id, claimed, exc.reason, exc.error)
        except TimeoutError:
            return await self._later(request_id, claimed, "timeout", None)
        async with self._database.sessions.begin() as session:
            await ResetRequestRepository(session).remove(request_id)
        return Outcome.DONE

    async def sweep(self) -> None:
        """Announce what waits, and give up what nobody waits for any more."""
        async with self._database.sessions.begin() as session:
            requests = ResetRequestRepository(session)
            for request_id in await requests.give_up(GIVE_UP_AFTER):
                _logger.error("a password reset was given up", extra={"fields": {"subject": str(request_id)}})
            due = await requests.announce(self._pace.announce_again_seconds)
        for request_id in due:
            if not await self._queue.put(RESET, request_id):
                return

    async def _begin(self, request_id: UUID) -> tuple[ResetMessage, ClaimedReset] | None:
        async with self._database.sessions.begin() as session:
            requests = ResetRequestRepository(session)
            claimed = await requests.claim(request_id, CLAIM_SECONDS)
            if claimed is None:
                return None
            user = await AccountRepository(session).find(claimed.email)
            if user is None or user.disabled_at is not None:
                await requests.remove(request_id)
                return None
            token = new_token()
            await PasswordResetRepository(session).put(
                user_id=user.id, token_hash=token_hash(token), lifetime=RESET_LIFETIME
            )
        return ResetMessage(id=uuid4(), email=claimed.email, token=token, lifetime=RESET_LIFETIME), claimed

    async def _later(self, request_id: UUID, claimed: ClaimedReset, reason: str, error: str | None) -> Outcome:
        fields = {"subject": str(request_id), "attempt": claimed.attempts, "reason": reason, "error": error}
        _logger.warning("a password reset was not handed over", extra={"fields": fields})
        async with self._database.sessions.begin() as session:
            requests = ResetRequestRepository(session)
            pause = self._pace.pause_seconds(age_seconds=claimed.age_seconds)
            is_ours = await requests.postpone(request_id, claimed.attempts, pause)
        return Outcome.RETRIED if is_ours else Outcome.LOST
