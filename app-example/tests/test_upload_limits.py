"""How long an upload may take, and how many there may be, of all and of one user."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
from obstore.store import MemoryStore

from app.attachments import upload
from app.attachments.upload import UPLOAD_SECONDS, UPLOADS_AT_ONCE, UPLOADS_PER_USER
from app.main import create_app
from app.storage import Storage, get_storage
from tests.live import until
from tests.support import serve, signed_in, valid_settings
from tests.test_attachments import PNG, TENANT, insert_order

pytestmark = pytest.mark.control("upload-restrictions")

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
PATH = f"/v1/orders/{uuid4()}/attachments"


class Senders:
    """Clients that begin an upload, and end it when they are told to."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Send with a client."""
        self._client = client
        self.begun = 0
        self.told = asyncio.Event()

    async def send(self, user_id: UUID) -> httpx.Response:
        """Send a file as a user."""
        headers = {
            **signed_in(valid_settings(), user_id=user_id),
            "Content-Type": "multipart/form-data; boundary=b",
        }
        return await self._client.post(PATH, content=self._body(), headers=headers)

    async def _body(self) -> AsyncIterator[bytes]:
        self.begun += 1
        yield HEAD
        await self.told.wait()
        yield b"\r\n--b--\r\n"


@asynccontextmanager
async def sending() -> AsyncGenerator[Senders]:
    """Give senders to a service whose database is away: what is read in full becomes a 503."""
    async with serve(create_app(valid_settings())) as client:
        yield Senders(client)


async def test_one_user_does_not_take_all_slots() -> None:
    one, other = uuid4(), uuid4()
    async with sending() as senders:
        ours = [asyncio.create_task(senders.send(one)) for _ in range(UPLOADS_PER_USER)]
        await until(lambda: senders.begun == len(ours))
        async with asyncio.timeout(20):
            refused = await senders.send(one)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
        assert refused.headers["Content-Type"] == "application/problem+json"
        theirs = asyncio.create_task(senders.send(other))
        await until(lambda: senders.begun == len(ours) + 1)
        senders.told.set()
        details = [(await each).json()["detail"] for each in (*ours, theirs)]
        again = await senders.send(one)
    assert {*details, again.json()["detail"]} == {"The service cannot reach its data now."}


async def test_all_users_together_have_a_bounded_number() -> None:
    async with sending() as senders:
        tasks = [asyncio.create_task(senders.send(uuid4())) for _ in range(UPLOADS_AT_ONCE)]
        await until(lambda: senders.begun == UPLOADS_AT_ONCE)
        async with asyncio.timeout(20):
            refused = await senders.send(uuid4())
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.json()["detail"] == "Too many uploads at this moment."
        senders.told.set()
        await asyncio.gather(*tasks)


async def test_a_client_that_sends_too_slowly_is_told_and_its_slot_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balancers give a request 30 seconds, and so does a process that stops."""
    assert UPLOAD_SECONDS < 30
    monkeypatch.setattr(upload, "UPLOAD_SECONDS", 0.2)
    user = uuid4()
    async with asyncio.timeout(20), sending() as senders:
        for _ in range(UPLOADS_PER_USER + 1):
            assert (await senders.send(user)).status_code == 408


@pytest.mark.services
async def test_a_file_that_is_not_stored_in_time_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same time as the sending: one after the other would be longer than a request may take."""

    class Stalling(Storage):
        stalls = True

        async def write(self, name: str, content: AsyncIterator[bytes], *, within_seconds: float) -> None:
            if self.stalls:
                await asyncio.Event().wait()
            await super().write(name, content, within_seconds=within_seconds)

    storage = Stalling(MemoryStore())
    settings = valid_settings(database_url=database_url)
    app = create_app(settings)
    app.dependency_overrides[get_storage] = lambda: storage
    path = f"/v1/orders/{await insert_order(database_url, TENANT)}/attachments"
    headers = signed_in(settings, tenant_id=TENANT)
    async with serve(app) as client:
        with monkeypatch.context() as patch:
            patch.setattr(upload, "UPLOAD_SECONDS", 2)
            async with asyncio.timeout(15):
                answer = await client.post(path, files={"file": ("a.png", PNG)}, headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.json()["detail"] == "The file could not be stored in time."
        storage.stalls = False
        assert (await client.post(path, files={"file": ("a.png", PNG)}, headers=headers)).status_code == 201
