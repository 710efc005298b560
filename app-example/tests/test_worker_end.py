"""The end of a worker: what runs is finished or given back."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.workers import Office, office

pytestmark = pytest.mark.services


@pytest.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Office]:
    """A service with Redis, whose workers the test starts."""
    async with office(database_url, redis_url, tmp_path) as service:
        yield service
