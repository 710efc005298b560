"""Times of background work.

Owns how long a worker holds what, and how often it looks. One place, because they depend on each other: a message may
be read again only when the lease of whoever died with it has ended, and what is swept must be older than what works.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Longer than a worker that lives needs, short enough for one that died to be noticed."""

    lease_seconds: float = 30
    """Life of a lease; renewed three times as often. Below the queue's own idle time, `app.queue.IDLE_MS`."""
    retry_seconds: float = 5
    """Pause after the first failure; then as long as the work is old, which doubles it each time."""
    retry_max_seconds: float = 600
    """Longest pause: how late work may be after an outage of hours."""
    give_up_seconds: float = 86_400
    """Age at which work has failed that only waits for another service: a night and the morning after it."""
    announce_again_seconds: float = 30
    """After this time, work that nobody began is put into the queue once more."""
    max_attempts: int = 5
    """Errors of our own and crashes after which work has failed: waiting mends neither."""
    work_seconds: float = 600
    """Longest that one attempt takes; far below the age at which an object without a row is swept."""
    grace_seconds: float = 25
    """For jobs in progress when the process is told to end; with the closing it stays below the 60 s that the platform
    gives a worker."""
    sweep_seconds: float = 5
    """Between two looks for what nobody was told of; up to a fifth more, so that workers do not march in step."""
    clean_seconds: float = 3600
    """Between two removals of what is over."""

    def pause_seconds(self, *, age_seconds: float) -> float:
        """Return the pause after a failure of work that is so old."""
        return min(self.retry_max_seconds, max(self.retry_seconds, age_seconds))


PACE = Pace()
"""Of every deployment."""
