"""Typed settings.

Owns every environment variable that the application reads: its name, unit, bounds and default. Deliberately
reads no file, and has no default that weakens a production: what is unset falls to the stricter behaviour, an
address or a credential that is missing stops the start. Only `ENVIRONMENT=local` may do without them.

The variables that begin with `DATABASE_` are the runtime's (`fastapi_platform_runtime.engine`).
"""

import os
from enum import StrEnum
from typing import Annotated, Literal, Self

from fastapi_platform_runtime.engine import DRIVER, EngineSettings, EngineSettingsError
from pydantic import AfterValidator, Field, InstanceOf, IPvAnyAddress, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL

from app.settings_types import (
    Host,
    Keys,
    Origin,
    SigningKeys,
    comma_separated,
    credential,
    http_address,
    redis_address,
    storage_address,
    tracker_address,
)


class SettingsError(ValueError):
    """The environment does not describe a process that can start. Names the variables, never their values."""


class Environment(StrEnum):
    """Where the process runs."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """All that the service needs."""

    # A validation error would otherwise print the secret that it was given.
    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: Environment = Environment.PRODUCTION
    """Where the process runs; one that is not told takes itself for production."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is written."""
    metrics_host: IPvAnyAddress | None = None
    """Address that the metrics listen on; unless stated all of the container's, with `ENVIRONMENT=local` loopback."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9000
    """TCP port of the metrics, which the public never reaches; 0 for none."""
    readiness_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 1.5
    """Time in which all dependencies must answer; below the probe's own timeout, or no answer arrives."""
    release: Annotated[str, Field(pattern=r"^[\w.@:+/-]{1,200}$")] = "unknown"
    """Version or digest that logs, traces and error reports carry."""
    service_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "orders"
    """Name in log lines, tokens and the API description."""

    database: Annotated[InstanceOf[EngineSettings], NoDecode, Field(repr=False)]
    """Connections to Postgres, which the runtime reads from the variables that begin with `DATABASE_`."""

    allowed_hosts: Annotated[tuple[Host, ...], NoDecode, comma_separated] = ()
    """Names under which the service is called, such as `api.example.com` or `*.example.com`."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, comma_separated] = ()
    """Front ends that may call from a browser, such as `https://shop.example.com`; none by default."""
    request_max_bytes: Annotated[int, Field(ge=1024, le=10_485_760)] = 262_144
    """Largest body of a request that is not an upload."""
    upload_max_bytes: Annotated[int, Field(ge=1024, le=104_857_600)] = 5_242_880
    """Largest uploaded file."""

    access_token_minutes: Annotated[int, Field(ge=15, le=60)] = 15
    """Life of an access token, which cannot be revoked: short."""
    refresh_token_days: Annotated[int, Field(ge=1, le=90)] = 14
    """Life of a refresh token, which can be revoked and is used once."""
    signing_keys: Annotated[Keys | None, NoDecode, Field(repr=False)] = None
    """Keys of access tokens, `ID:BASE64URL` with commas between, each 32 random bytes or more. The first signs, all
    verify: a new key is put in front, and the old one dropped when its last token has expired."""

    reset_messages_url: Annotated[str | None, AfterValidator(http_address)] = None
    """Address that takes over the messages about password resets and delivers them; they carry what opens an account:
    `https://messages.example.com/password-resets`."""
    reset_messages_api_key: Annotated[SecretStr | None, AfterValidator(credential)] = None
    """Credential of that address."""

    redis_url: Annotated[SecretStr | None, AfterValidator(redis_address)] = None
    """Address of Redis: cache, rate limits, queue. `rediss://…` or `redis://USER:PASSWORD@HOST:PORT/0`."""
    storage_url: Annotated[str | None, AfterValidator(storage_address)] = None
    """Private bucket of uploads and exports: `gs://BUCKET/PREFIX`, `s3://…`; `file:///DIRECTORY` with
    `ENVIRONMENT=local` alone."""

    model_url: Annotated[str | None, AfterValidator(http_address)] = None
    """Address of the language model's API, of the OpenAI kind: `https://models.example.com/v1`."""
    model_api_key: Annotated[SecretStr | None, AfterValidator(credential)] = None
    """Credential of the language model's API."""
    model_name: Annotated[str, Field(pattern=r"^[\w.:/-]{1,100}$")] = "default"
    """Which model answers."""
    model_concurrency: Annotated[int, Field(ge=1, le=1000)] = 8
    """Calls of the model at the same time; times processes, times pods, it must fit the model's quota."""
    model_queue: Annotated[int, Field(ge=0, le=10_000)] = 16
    """Callers that wait for their turn; the next one is told to come back later."""
    model_queue_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    """Longest that a caller waits for its turn."""
    stream_max_seconds: Annotated[float, Field(gt=0, le=3600)] = 120
    """Longest stream; below the time that the load balancer gives a backend."""

    outbound_connect_seconds: Annotated[float, Field(gt=0, le=30)] = 2
    """Longest that a connection to another service takes to open."""
    outbound_read_seconds: Annotated[float, Field(gt=0, le=120)] = 10
    """Longest silence of another service, and longest that it takes what is written to it."""
    webhook_url: Annotated[str | None, AfterValidator(http_address)] = None
    """Address that is told of finished exports; nobody by default."""

    otel_exporter_otlp_endpoint: Annotated[str | None, AfterValidator(http_address)] = None
    """Collector of traces, OTLP over HTTP; no traces without."""
    sentry_dsn: Annotated[SecretStr | None, AfterValidator(tracker_address)] = None
    """Where unhandled exceptions are reported; nowhere by default."""
    trace_sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of traces that begin here which are kept; a caller's decision is followed."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read the process environment.

        Raises:
            SettingsError: Naming every variable that is missing or wrong.
        """
        problems: list[str] = []
        database = _UNREAD
        try:
            database = EngineSettings.from_environment(os.environ)
        except EngineSettingsError as exc:
            problems.append(str(exc))
        try:
            settings = cls(database=database)
        except ValidationError as exc:
            raise SettingsError("; ".join([*problems, *map(_problem, exc.errors())])) from None
        if problems:
            raise SettingsError("; ".join(problems))
        return settings

    @property
    def token_keys(self) -> SigningKeys:
        """Keys of access tokens; on a developer's machine made from the database's password when none are set."""
        return self.signing_keys or SigningKeys.derived(self.database.url.render_as_string(hide_password=False))

    @property
    def metrics_address(self) -> str:
        """Where the metrics listen: a developer's machine may be in a network that the public reaches."""
        return str(self.metrics_host or ("127.0.0.1" if self.is_local else "0.0.0.0"))

    @property
    def is_local(self) -> bool:
        """Whether this is somebody's machine: the only place where an address or a key may be missing."""
        return self.environment is Environment.LOCAL

    @property
    def is_production(self) -> bool:
        """Whether the docs and the schema are hidden."""
        return self.environment is Environment.PRODUCTION

    @model_validator(mode="after")
    def _states_what_a_deployment_needs(self) -> Self:
        if self.is_local:
            return self
        missing = [name.upper() for name in _STATED if not getattr(self, name)]
        # An empty list is an answer, to be given by whoever knows that no browser calls.
        missing += ["CORS_ORIGINS"] if "cors_origins" not in self.model_fields_set else []
        loose = [host for host in self.allowed_hosts if host == "*"]
        insecure = [origin for origin in self.cors_origins if not origin.startswith("https://")]
        problems = [f"{', '.join(sorted(missing))} missing"] * bool(missing)
        problems += ["ALLOWED_HOSTS: got *, want the names of the service"] * bool(loose)
        problems += [f"CORS_ORIGINS: got {', '.join(insecure)}, want https:// addresses"] * bool(insecure)
        problems += ["LOG_LEVEL: got DEBUG, want INFO or less"] * (self.is_production and self.log_level == "DEBUG")
        kept_nowhere = (self.storage_url or "").startswith(("file:", "memory:"))
        problems += ["STORAGE_URL: got a directory or memory, want a bucket"] * kept_nowhere
        in_clear = (self.reset_messages_url or "").startswith("http:")
        problems += ["RESET_MESSAGES_URL: got http://, want https://"] * in_clear
        if problems:
            raise ValueError(f"with ENVIRONMENT={self.environment}: {'; '.join(problems)}")
        return self


_UNREAD = EngineSettings(url=URL.create(DRIVER))
"""Stands for connections that could not be read, so that the other variables are judged all the same."""
_STATED = (
    "allowed_hosts",
    "model_api_key",
    "model_url",
    "redis_url",
    "reset_messages_api_key",
    "reset_messages_url",
    "signing_keys",
    "storage_url",
)
"""What every deployment states: each address, credential and trust setting."""


def _problem(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else ""
    return ": ".join(filter(None, (name, error["msg"].removeprefix("Value error, "))))
