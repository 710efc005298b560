"""How the address of the database reaches the driver."""

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from app.database import open_database
from tests.support import listening, valid_settings

SSL_REQUEST = (80877103).to_bytes(4, "big")
"""https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest."""


@pytest.mark.parametrize(("sslmode", "asks"), [("require", True), ("disable", False)])
async def test_sslmode_of_the_address_decides_whether_tls_is_asked_for(sslmode: str, asks: bool) -> None:
    """Passed on as a keyword, as SQLAlchemy does, the parameter would be an error or, worse, ignored."""
    opening = bytearray()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opening.extend(await reader.readexactly(8))
        writer.write(b"N")

    async with listening(refuse) as port:
        url = f"postgresql://orders@127.0.0.1:{port}/orders?sslmode={sslmode}"
        with pytest.raises((ConnectionError, DBAPIError)):
            async with open_database(valid_settings(database_url=url).database) as database:
                await database.ping()
    assert (opening[4:] == SSL_REQUEST) is asks
