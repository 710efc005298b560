"""The ids by which all that a request leaves behind is found again: request, trace, user, tenant.

Owns where they are kept while a request is served. Deliberately makes none: `app.request_context` does, and who
calls says the last two.
"""

from contextvars import ContextVar
from uuid import UUID

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request being served; None outside a request."""
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Id of the trace that the request belongs to, 32 hexadecimal digits; None outside a request."""
# Filled in place: a dependency that runs in a thread has a copy of the context, but the same dictionary.
identity: ContextVar[dict[str, str] | None] = ContextVar("identity", default=None)


def bind_identity(user_id: UUID, tenant_id: UUID) -> None:
    """Say who calls: from here on every log line of the request has the two opaque ids."""
    known = identity.get()
    if known is not None:
        known.update(user_id=str(user_id), tenant_id=str(tenant_id))


def current_ids() -> dict[str, str | None]:
    """Return the ids of the request being served, for log lines and error reports."""
    return {"request_id": request_id.get(), "trace_id": trace_id.get(), **(identity.get() or {})}
