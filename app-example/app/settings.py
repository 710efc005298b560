"""Typed settings.

Owns every environment variable that the application reads: its name, unit, bounds and default. Deliberately
has no default for an address, a credential or the environment (a missing one stops the start) and reads no
file: what a process runs with is what its environment says.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DATABASE_DRIVER = "postgresql+asyncpg"
_DATABASE_SCHEMES = frozenset({"postgres", "postgresql", DATABASE_DRIVER})
_DATABASE_URL_WANTED = "want postgresql://USER:PASSWORD@HOST:PORT/DATABASE; no other database is supported"


class SettingsError(ValueError):
    """The environment does not describe a process that can start. Names the variables, never their values."""


class Environment(StrEnum):
    """Where the process runs."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class DatabaseSettings(BaseSettings):
    """How to reach Postgres; all that a migration needs."""

    # A validation error would otherwise print the password that it was given.
    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    """Address and credentials: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, with libpq's parameters
    (`?sslmode=verify-full&sslrootcert=…`) where needed. Kept with the async driver's scheme."""
    database_pool_size: Annotated[int, Field(ge=1, le=100)] = 5
    """Connections that each process keeps open. Size plus overflow, times processes, must fit the server."""
    database_pool_overflow: Annotated[int, Field(ge=0, le=100)] = 5
    """Connections opened beyond the pool size under load and closed afterwards."""
    database_pool_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    """How long a request waits for a free connection; well under the time promised for a request."""
    database_pool_recycle_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    """Age at which a connection is replaced; below the shortest idle or lifetime limit on the way."""

    @field_validator("database_url")
    @classmethod
    def _use_async_driver(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):
            # The parser quotes what it could not read, which may be a piece of the password.
            raise ValueError(_DATABASE_URL_WANTED) from None
        if url.drivername not in _DATABASE_SCHEMES or not url.database:
            raise ValueError(_DATABASE_URL_WANTED)
        return SecretStr(url.set(drivername=DATABASE_DRIVER).render_as_string(hide_password=False))

    @classmethod
    def from_environment(cls) -> Self:
        """Read the process environment.

        Raises:
            SettingsError: Naming every variable that is missing or wrong.
        """
        try:
            return cls.model_validate({})
        except ValidationError as exc:
            problems = (f"{str(error['loc'][0]).upper()}: {error['msg']}" for error in exc.errors())
            raise SettingsError("; ".join(problems)) from exc


class Settings(DatabaseSettings):
    """All that the service needs."""

    environment: Environment
    """Required: a process that does not know where it runs must not guess."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is written."""
    readiness_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 1.5
    """Time in which all dependencies must answer; below the probe's own timeout, or no answer arrives."""
    service_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "orders"
    """Name in log lines and in the API description."""
