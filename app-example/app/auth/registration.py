"""How an account comes to be: by its owner, or by an operator.

Owns that a password is hashed before a transaction begins, and that a taken address costs as much time as a free one.
Deliberately does not decide who may become what: the callers do.
"""

from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.passwords import Passwords
from app.auth.repository import AccountRepository
from app.auth.schemas import Registration
from app.auth.tokens import Role


async def register(
    session: AsyncSession,
    passwords: Passwords,
    request: Registration,
    *,
    role: Role = Role.MEMBER,
    tenant_id: UUID | None = None,
) -> UUID | None:
    """Store an account, in a tenant of its own unless told, and return its id; None where the address has one."""
    password_hash = await passwords.hash(request.password.get_secret_value())
    async with session.begin():
        return await AccountRepository(session).add(
            email=request.email, password_hash=password_hash, role=role, tenant_id=tenant_id or uuid4()
        )
