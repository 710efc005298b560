"""Passwords: what is stored of them, what was imported, and what hashing costs others."""

import asyncio
import re
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.auth.passwords import HASHES_AT_ONCE, Passwords, get_passwords, open_passwords
from app.main import create_app
from tests.auth.support import PASSWORD, new_email, register, sign_in, signed_up
from tests.support import execute, serve, valid_settings

LEAST_MEMORY_KIB, LEAST_PASSES = 19_456, 2
"""https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"""


def bcrypt_hash(password: str) -> str:
    """Return what an earlier system stored; it looked at 72 bytes."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


@pytest.mark.control("password-hashing")
@pytest.mark.services
async def test_what_is_stored_is_argon2id_of_at_least_the_advised_cost(
    client: httpx.AsyncClient, database_url: str
) -> None:
    for _ in range(2):
        await register(client, new_email())
    stored = await execute(database_url, "SELECT password_hash FROM users")
    for each in stored:
        found = re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([^$]{22,})\$[^$]{43,}", each)
        assert found
        assert int(found[1]) >= LEAST_MEMORY_KIB
        assert int(found[2]) >= LEAST_PASSES
    assert len({each.split("$")[4] for each in stored}) == 2, "the same salt twice"


@pytest.mark.control("password-hashing")
@pytest.mark.services
@pytest.mark.parametrize("password", [PASSWORD, "Blåbærsyltetøy", "pässword " * 14], ids=["ascii", "accents", "long"])
async def test_an_imported_bcrypt_hash_is_upgraded_at_the_next_sign_in(
    client: httpx.AsyncClient, database_url: str, password: str
) -> None:
    email = await signed_up(client)
    imported = bcrypt_hash(password)
    await execute(database_url, f"UPDATE users SET password_hash = '{imported}'")  # noqa: S608
    assert (await sign_in(client, email, PASSWORD + "!")).status_code == 401
    assert await execute(database_url, "SELECT password_hash FROM users") == [imported]
    for _ in range(2):
        assert (await sign_in(client, email, password)).status_code == 200
    (upgraded,) = await execute(database_url, "SELECT password_hash FROM users")
    assert upgraded.startswith("$argon2id$")
    assert (await sign_in(client, email, password)).status_code == 200


@pytest.mark.control("password-hashing")
@pytest.mark.services
async def test_a_hash_of_a_lower_cost_is_upgraded_too(client: httpx.AsyncClient, database_url: str) -> None:
    email = await signed_up(client)
    weak = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await execute(database_url, f"UPDATE users SET password_hash = '{weak}'")  # noqa: S608
    assert (await sign_in(client, email)).status_code == 200
    (stored,) = await execute(database_url, "SELECT password_hash FROM users")
    assert f"$m={LEAST_MEMORY_KIB},t={LEAST_PASSES}" in stored


async def test_a_password_is_the_same_however_a_keyboard_writes_it() -> None:
    async with open_passwords() as passwords:
        stored = await passwords.hash(unicodedata.normalize("NFC", "Blåbær-café ①"))
        assert (await passwords.verify(unicodedata.normalize("NFD", "Blåbær-café ①"), stored))[0]
        assert (await passwords.verify("Blåbær-café 1", stored))[0]
        assert not (await passwords.verify("Blabaer-cafe 1", stored))[0]


async def test_spaces_and_capitals_of_a_password_count() -> None:
    async with open_passwords() as passwords:
        stored = await passwords.hash(PASSWORD)
        for other in (PASSWORD.title(), f" {PASSWORD}", f"{PASSWORD} ", PASSWORD[:-1]):
            assert await passwords.verify(other, stored) == (False, None)


class Held(Argon2Hasher):
    """Hashes nothing before it is let go, and counts how many try at once."""

    def __init__(self) -> None:
        """Begin with nobody."""
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = self.done = 0

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Wait."""
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.go.wait(30)
        with self.lock:
            self.inside -= 1
            self.done += 1
        return super().verify(password, hash)


@pytest.mark.control("no-blocking-calls-in-async", "password-hashing")
async def test_others_are_served_while_passwords_are_hashed_and_few_are_at_once() -> None:
    app, held = create_app(valid_settings()), Held()
    with ThreadPoolExecutor(HASHES_AT_ONCE) as threads:
        passwords = Passwords(threads, PasswordHash((held,)))
        app.dependency_overrides[get_passwords] = lambda: passwords
        async with serve(app) as client:
            hashing = [asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(3 * HASHES_AT_ONCE)]
            try:
                async with asyncio.timeout(20):
                    while held.inside < HASHES_AT_ONCE:
                        await asyncio.sleep(0.01)
                    assert (await client.get("/healthz/live")).status_code == 200
                assert held.done == 0
            finally:
                held.go.set()
            await asyncio.gather(*hashing)
    assert (held.most, held.done) == (HASHES_AT_ONCE, 3 * HASHES_AT_ONCE)


@pytest.mark.control("session-per-request")
@pytest.mark.services
async def test_no_connection_is_held_while_a_password_is_hashed(direct_database_url: str) -> None:
    one = {"database_pool_size": 1, "database_pool_overflow": 0, "database_pool_timeout_seconds": 5}
    app, held = create_app(valid_settings(database_url=direct_database_url, **one)), Held()
    async with serve(app) as client:
        email = await signed_up(client)
        with ThreadPoolExecutor(HASHES_AT_ONCE) as threads:
            passwords = Passwords(threads, PasswordHash((held,)))
            app.dependency_overrides[get_passwords] = lambda: passwords
            signing_in = asyncio.create_task(sign_in(client, email))
            try:
                async with asyncio.timeout(20):
                    while held.inside == 0:
                        await asyncio.sleep(0.01)
                assert (await client.get("/v1/products")).status_code == 200
                assert held.done == 0
            finally:
                held.go.set()
            assert (await signing_in).status_code == 200


@pytest.mark.control("refresh-tokens-hashed-revocable")
@pytest.mark.services
@pytest.mark.parametrize("change", ["password_hash = password_hash || 'x'", "disabled_at = now()"])
async def test_a_sign_in_that_an_account_outran_is_refused(direct_database_url: str, change: str) -> None:
    """Otherwise one that was under way while the password was reset would survive the reset."""
    app, held = create_app(valid_settings(database_url=direct_database_url)), Held()
    async with serve(app) as client:
        email = await signed_up(client)
        with ThreadPoolExecutor(HASHES_AT_ONCE) as threads:
            passwords = Passwords(threads, PasswordHash((held,)))
            app.dependency_overrides[get_passwords] = lambda: passwords
            signing_in = asyncio.create_task(sign_in(client, email))
            try:
                async with asyncio.timeout(20):
                    while held.inside == 0:
                        await asyncio.sleep(0.01)
                await execute(direct_database_url, f"UPDATE users SET {change}")  # noqa: S608
            finally:
                held.go.set()
            assert (await signing_in).status_code == 401
