"""Attachments: what is taken, where it is kept, and who gets it."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.attachments.service import MAX_PER_ORDER
from app.main import create_app
from app.settings import Settings
from tests.support import execute, serve, signed_in, valid_settings

pytestmark = [pytest.mark.services, pytest.mark.control("upload-restrictions")]

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(64)
PROGRAM = b"MZ\x90\0" + bytes(508)
LIMIT = 1_048_576
TENANT = uuid4()


@dataclass(frozen=True)
class Shop:
    """A service with an order, and somebody who may attach to it."""

    client: httpx.AsyncClient
    settings: Settings
    database_url: str
    bucket: Path
    headers: dict[str, str]
    path: str

    async def attach(self, content: bytes, name: str = "a.png", media_type: str = "image/png") -> httpx.Response:
        """Send a file."""
        return await self.client.post(self.path, files={"file": (name, content, media_type)}, headers=self.headers)

    async def attached(self) -> dict[str, Any]:
        """Send a file that is accepted and return its description."""
        answer = await self.attach(PNG)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def objects(self) -> list[str]:
        """Return the names of what is in the bucket."""
        return sorted(str(path.relative_to(self.bucket)) for path in self.bucket.rglob("*") if path.is_file())


async def insert_order(database_url: str, tenant_id: UUID) -> UUID:
    """Store an order of a tenant and return its id."""
    order_id = uuid4()
    values = f"'{order_id}', '{tenant_id}', 'MUG-1', 1"
    await execute(database_url, f"INSERT INTO orders (id, tenant_id, sku, quantity) VALUES ({values})")  # noqa: S608
    return order_id


@pytest.fixture
async def shop(database_url: str, tmp_path: Path) -> AsyncGenerator[Shop]:
    bucket = tmp_path / "bucket"
    settings = valid_settings(database_url=database_url, storage_url=f"file://{bucket}", upload_max_bytes=LIMIT)
    async with serve(create_app(settings)) as client:
        path = f"/v1/orders/{await insert_order(database_url, TENANT)}/attachments"
        yield Shop(client, settings, database_url, bucket, signed_in(settings, tenant_id=TENANT), path)


async def test_a_file_comes_back_as_a_download_of_its_real_type(shop: Shop) -> None:
    content = PNG + bytes(LIMIT - len(PNG))
    answer = await shop.attach(content, "photo.png", "text/html")
    assert answer.status_code == 201
    assert answer.json().items() >= {"name": "photo.png", "media_type": "image/png", "size_bytes": LIMIT}.items()
    got = await shop.client.get(answer.headers["Location"], headers=shop.headers)
    assert got.content == content
    assert got.headers["Content-Type"] == "image/png"
    assert got.headers["Content-Disposition"] == "attachment; filename*=UTF-8''photo.png"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Cache-Control"] == "private, no-store"
    listed = (await shop.client.get(shop.path, headers=shop.headers)).json()
    assert listed == {"items": [answer.json()]}


async def test_objects_have_generated_names(shop: Shop) -> None:
    attachment = await shop.attached()
    assert shop.objects() == [f"attachments/{attachment['id']}"]
    assert UUID(attachment["id"]).version == 4


@pytest.mark.parametrize("name", ["../../../etc/cron.d/evil.png", "..\\..\\evil.png", "/etc/evil.png"])
async def test_a_path_in_a_name_leads_nowhere(shop: Shop, name: str) -> None:
    answer = await shop.attach(PNG, name)
    assert answer.json()["name"] == "evil.png"
    assert shop.objects() == [f"attachments/{answer.json()['id']}"]
    assert [path.name for path in shop.bucket.parent.iterdir()] == ["bucket"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PROGRAM, "photo.png"),
        (b"\x7fELF" + bytes(508), "photo.jpg"),
        (b"<html><script>alert(1)</script>", "photo.png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "photo.svg"),
        (b"PK\x03\x04" + bytes(508), "report.pdf"),
        (b"", "photo.png"),
    ],
)
async def test_a_disguised_file_is_refused_by_its_content(shop: Shop, content: bytes, name: str) -> None:
    answer = await shop.attach(content, name)
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert shop.objects() == []


async def test_a_file_that_is_too_large_is_refused(shop: Shop) -> None:
    answer = await shop.attach(PNG + bytes(LIMIT + 1 - len(PNG)))
    assert answer.status_code == 413
    assert str(LIMIT) in answer.json()["detail"]
    assert shop.objects() == []


@pytest.mark.parametrize("stated", [True, False])
async def test_what_is_far_too_large_is_not_even_read(shop: Shop, stated: bool) -> None:
    """A stated length is believed at once; without one, reading ends at the limit."""
    sent = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
        for _ in range(100):
            sent += 65_536
            yield bytes(65_536)

    headers = {**shop.headers, "Content-Type": "multipart/form-data; boundary=b"}
    headers |= {"Content-Length": str(100 * 65_536)} if stated else {}
    answer = await shop.client.post(shop.path, content=body(), headers=headers)
    assert answer.status_code == 413
    assert sent <= (0 if stated else LIMIT + 2 * 65_536)
    assert shop.objects() == []


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"json": {}}, 415),
        ({"files": {"other": ("a.png", PNG)}}, 422),
        ({"files": [("file", ("a.png", PNG)), ("file", ("b.png", PNG))]}, 422),
        ({"files": {"file": ("a.png", PNG)}, "data": {"more": "text"}}, 422),
        ({"content": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 422),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 422),
    ],
)
async def test_anything_but_a_form_with_one_file_is_one_clear_error(
    shop: Shop, request_of: dict[str, Any], status: int
) -> None:
    request: dict[str, Any] = {**request_of, "headers": {**shop.headers, **request_of.get("headers", {})}}
    answer = await shop.client.post(shop.path, **request)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert shop.objects() == []


async def test_another_tenant_sees_nothing(shop: Shop) -> None:
    attachment = await shop.attached()
    path = f"{shop.path}/{attachment['id']}"
    stranger = signed_in(shop.settings)
    answers = [
        await shop.client.get(shop.path, headers=stranger),
        await shop.client.post(shop.path, headers=stranger, files={"file": ("a.png", PNG)}),
        await shop.client.get(path, headers=stranger),
        await shop.client.delete(path, headers=stranger),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await shop.client.get(path)).status_code == 401
    assert shop.objects() == [f"attachments/{attachment['id']}"]


async def test_a_removed_file_is_gone_from_both_stores(shop: Shop) -> None:
    attachment = await shop.attached()
    path = f"{shop.path}/{attachment['id']}"
    assert (await shop.client.delete(path, headers=shop.headers)).status_code == 204
    assert (await shop.client.get(path, headers=shop.headers)).status_code == 404
    assert (await shop.client.delete(path, headers=shop.headers)).status_code == 404
    assert shop.objects() == []


async def test_a_row_that_is_not_committed_leaves_no_object(shop: Shop) -> None:
    """The constraint is checked at the commit, after everything else has gone well."""
    await execute(
        shop.database_url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE integrity_constraint_violation; END $$",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON attachments DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    assert (await shop.attach(PNG)).status_code == 500
    assert shop.objects() == []


async def test_an_order_has_a_bounded_number_of_files(shop: Shop) -> None:
    for _ in range(MAX_PER_ORDER):
        await shop.attached()
    assert (await shop.attach(PNG)).status_code == 409
    assert len(shop.objects()) == MAX_PER_ORDER


async def test_a_storage_that_is_away_is_a_503(shop: Shop) -> None:
    attachment = await shop.attached()
    for path in shop.bucket.rglob("*-*"):
        path.unlink()
    answer = await shop.client.get(f"{shop.path}/{attachment['id']}", headers=shop.headers)
    assert answer.status_code == 503
    assert re.fullmatch(r"\d+", answer.headers["Retry-After"])
    assert str(shop.bucket) not in answer.text
