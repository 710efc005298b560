"""Password hashes.

Owns the algorithm, its cost, and that hashing neither blocks the event loop nor takes all processors. New hashes are
Argon2id; a bcrypt hash of an earlier system is accepted and replaced at the next sign-in, as is one of a lower cost.
Until then its account shows in the time of a refusal, which is bcrypt's.
Deliberately owns no rule about which passwords are good: that is `app.auth.schemas`.
Sources: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
https://pages.nist.gov/800-63-4/sp800-63b.html
"""

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

MEMORY_KIB = 19_456
"""Memory of one hash: 19 MiB, the least that OWASP advises with two passes. Times `HASHES_AT_ONCE`, it must fit."""
PASSES = 2
"""Argon2's time cost."""
LANES = 1
"""Argon2's parallelism."""
HASHES_AT_ONCE = 2
"""Hashes that one process computes at the same time; more only take each other's processor. The rest wait."""
BCRYPT_MAX_BYTES = 72
"""bcrypt never looked at more, and its library now refuses more."""

_Result = TypeVar("_Result")


class Passwords:
    """Makes and checks the hashes of one process."""

    def __init__(self, threads: ThreadPoolExecutor, hashes: PasswordHash | None = None) -> None:
        """Compute in threads that the caller closes."""
        self._threads = threads
        self._hashes = hashes or PasswordHash((_Argon2id(PASSES, MEMORY_KIB, LANES), _Imported()))
        self._nobodys = self._hashes.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        return await self._run(lambda: self._hashes.hash(password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether the password is right, and a better hash where the stored one is out of date.

        Without a stored hash, for an account that does not exist, the answer takes as long and is always no.
        """
        if stored is None:
            await self._run(lambda: self._hashes.verify(password, self._nobodys))
            return False, None
        return await self._run(lambda: self._hashes.verify_and_update(password, stored))

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Argon2id(Argon2Hasher):
    """Argon2id over the normal form of a password, so that each keyboard's way of writing `é` is the same."""

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        return super().hash(_normal(password), salt=salt)

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        return super().verify(_normal(password), hash)


class _Imported(BcryptHasher):
    """bcrypt as earlier systems used it: the bytes as they come, at most 72."""

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        typed = password.encode() if isinstance(password, str) else password
        return super().verify(typed[:BCRYPT_MAX_BYTES], hash)


def _normal(password: str | bytes) -> str:
    return unicodedata.normalize("NFKC", password if isinstance(password, str) else password.decode())


@asynccontextmanager
async def open_passwords() -> AsyncGenerator[Passwords]:
    """Give the hashes of the process, and end its threads."""
    with ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="password") as threads:
        yield Passwords(threads)


async def get_passwords(request: Request) -> Passwords:
    """Find the hashes that the lifespan opened."""
    found: Passwords = request.state.passwords
    return found


PasswordHashes = Annotated[Passwords, Depends(get_passwords)]
