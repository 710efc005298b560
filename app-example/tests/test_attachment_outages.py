"""Attachments while a store falls silent: a row always has its content."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.main import create_app
from tests.proxies import silent_from_commit_on
from tests.support import execute, serve, signed_in, valid_settings
from tests.test_attachments import PNG, TENANT, insert_order

pytestmark = [pytest.mark.services, pytest.mark.control("upload-restrictions")]


async def test_a_commit_whose_answer_is_lost_keeps_the_object(database_url: str, tmp_path: Path) -> None:
    """The row is there: without its object every download of it would fail, for ever."""
    path = f"/v1/orders/{await insert_order(database_url, TENANT)}/attachments"
    address = make_url(database_url)
    async with silent_from_commit_on(address.port or 0, b"INSERT INTO attachments") as (port, committed):
        settings = valid_settings(
            database_url=address.set(port=port).render_as_string(hide_password=False),
            database_command_timeout_seconds=1,
            storage_url=f"file://{tmp_path}",
        )
        async with serve(create_app(settings)) as client:
            headers = signed_in(settings, tenant_id=TENANT)
            answer = await client.post(path, files={"file": ("a.png", PNG)}, headers=headers)
    assert committed.is_set()
    assert answer.status_code == 503
    (attachment_id,) = await execute(database_url, "SELECT id FROM attachments")
    assert (tmp_path / "attachments" / str(attachment_id)).read_bytes() == PNG
