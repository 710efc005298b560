"""From the environment to the arguments of `create_async_engine`.

Owns names, units, bounds and defaults of the variables that describe a process's connections to Postgres, and refuses
combinations that cannot work, all of them at once. Deliberately makes no engine: when connections are opened and closed
is the application's business.

    settings = EngineSettings.from_environment(os.environ)
    engine = create_async_engine(**settings.arguments())

Sources: https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#module-sqlalchemy.dialects.postgresql.asyncpg
https://www.pgbouncer.org/config.html#max_prepared_statements
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .tls import Protection, Tls

DRIVER = "postgresql+asyncpg"
PREFIX = "DATABASE_"
_SCHEMES = ("postgres", "postgresql", DRIVER)
_WANTED_URL = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_CONNECTION_PARAMETERS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation", "application_name",
     "passfile", "target_session_attrs", "host", "port", "user", "password", "dbname", "database"}
)
"""Parameters of an address that the driver itself uses, or that a pooler lets through."""


class EngineSettingsError(ValueError):
    """The environment does not describe connections that can work. Names the variables, never a secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """Connections of one process; each field is read from `DATABASE_` and its name in capitals."""

    url: URL = field(repr=False)
    """Address and credentials; required."""

    command_timeout_seconds: float = 20.0
    """Longest that a statement takes; below the 30 s that a load balancer waits, so that the error is ours."""
    connect_timeout_seconds: float = 5.0
    """Longest that a connection takes to open, name look-up and TLS included."""
    pool_overflow: int = 5
    """Connections beyond the pool size under load, closed afterwards; 0 to 100."""
    pool_pre_ping: bool = True
    """Whether a connection is tried before each use; without it, a restart of Postgres costs one error for each."""
    pool_recycle_seconds: int = 300
    """Age at which a connection is replaced; below the shortest idle or lifetime limit on the way."""
    pool_size: int = 5
    """Connections that stay open; 1 to 100. Size plus overflow, times processes, must fit the server."""
    pool_timeout_seconds: float = 5.0
    """How long a request waits for a free connection."""
    pooler_prepared_statements: int | None = None
    """PgBouncer's `max_prepared_statements` when there is one between; 0 for one that tracks none, before 1.21."""
    statement_cache_size: int = 100
    """Prepared statements kept by each connection; 0 to 1,000, and no more than the pooler tracks."""
    tls: Tls | None = None
    """How the connection is protected; when not set what the address says (`sslmode`), else `PGSSLMODE`, else TLS only
    where the server offers it, and unverified."""
    tls_ca_file: str | None = None
    """Certificates that sign the server's; needed to verify it."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "EngineSettings":
        """Read and check the variables.

        Raises:
            EngineSettingsError: Naming everything that is missing, malformed or impossible together.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for each in fields(cls):
            variable = PREFIX + each.name.upper()
            if variable not in environment and each.name != "url":
                continue
            try:
                values[each.name] = _READERS[each.name](environment.get(variable, ""))
            except ValueError as exc:
                problems.append(f"{variable}: {exc}")
        if not problems:
            problems = cls(**values).problems()
        if problems:
            raise EngineSettingsError("; ".join(problems))
        return cls(**values)

    def problems(self) -> list[str]:
        """What cannot work together."""
        return [*self._pooler_problems(), *self._protection.problems()]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `create_async_engine`."""
        return {
            "url": self.url.set(query={}),
            "connect_args": self._connect_arguments(),
            "hide_parameters": True,
            "max_overflow": self.pool_overflow,
            "pool_pre_ping": self.pool_pre_ping,
            "pool_recycle": self.pool_recycle_seconds,
            "pool_size": self.pool_size,
            "pool_timeout": self.pool_timeout_seconds,
        }

    def _connect_arguments(self) -> dict[str, Any]:
        query = {**self.url.query, **self._protection.parameters}
        arguments: dict[str, Any] = {
            # asyncpg understands libpq's parameters only inside an address, and not as keywords.
            "dsn": URL.create("postgresql", query=query).render_as_string(),
            "command_timeout": self.command_timeout_seconds,
            "prepared_statement_cache_size": self.statement_cache_size,
            "statement_cache_size": self.statement_cache_size,
            "timeout": self.connect_timeout_seconds,
        }
        if self.pooler_prepared_statements == 0:
            # Names must not repeat: the next client of the same server connection would find them taken.
            arguments["prepared_statement_name_func"] = _unique_name
        return arguments

    def _pooler_problems(self) -> list[str]:
        tracked = self.pooler_prepared_statements
        if tracked is None:
            return []
        problems: list[str] = []
        if self.statement_cache_size > tracked:
            wanted = f"want {tracked} or fewer, which is what the pooler tracks (DATABASE_POOLER_PREPARED_STATEMENTS)"
            problems.append(f"DATABASE_STATEMENT_CACHE_SIZE: got {self.statement_cache_size}, {wanted}")
        session = sorted(set(self.url.query) - _CONNECTION_PARAMETERS)
        if session:
            fix = "a pooler refuses settings of a session; use ALTER ROLE … SET"
            problems.append(f"DATABASE_URL: {', '.join(session)}: {fix}")
        return problems

    @property
    def _protection(self) -> Protection:
        stated = {name: each if isinstance(each, str) else each[-1] for name, each in self.url.query.items()}
        return Protection(mode=self.tls, ca_file=self.tls_ca_file, address=stated)


def _unique_name() -> str:
    return f"__asyncpg_{uuid4()}__"


def _address(text: str) -> URL:
    if not text:
        raise ValueError(f"is not set: {_WANTED_URL}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The parser quotes what it could not read, which may be a piece of the password.
        raise ValueError(_WANTED_URL) from None
    if url.drivername not in _SCHEMES or not url.database:
        raise ValueError(_WANTED_URL)
    return url.set(drivername=DRIVER)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"got {text}, want true or false")
    return text.lower() == "true"


def _whole(low: int, high: int, text: str) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"got {text}, want a whole number from {low} to {high}")
    return int(text)


def _seconds(high: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= high:
        raise ValueError(f"got {text}, want more than 0 and at most {high} seconds")
    return value


_READERS: dict[str, Any] = {
    "url": _address,
    "command_timeout_seconds": partial(_seconds, 3600),
    "connect_timeout_seconds": partial(_seconds, 60),
    "pool_overflow": partial(_whole, 0, 100),
    "pool_pre_ping": _flag,
    "pool_recycle_seconds": partial(_whole, 1, 3600),
    "pool_size": partial(_whole, 1, 100),
    "pool_timeout_seconds": partial(_seconds, 60),
    "pooler_prepared_statements": partial(_whole, 0, 100_000),
    "statement_cache_size": partial(_whole, 0, 1000),
    "tls": Tls.read,
    "tls_ca_file": str,
}
