"""How connections to Postgres are protected.

Owns `DATABASE_TLS` and `DATABASE_TLS_CA_FILE`, which the service and the migration runner of an image both obey, and
what they mean together with the address's own `sslmode`. Deliberately makes no TLS context: that is the driver's, which
gets libpq's parameters.

Source: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

VARIABLE, CA_VARIABLE = "DATABASE_TLS", "DATABASE_TLS_CA_FILE"
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What an address may say: libpq's words. Where nothing is said the driver obeys `PGSSLMODE`, and without one prefers
TLS: it does without when the server has none, as a throw-away database does, or when somebody in between says so."""


class TlsError(ValueError):
    """Variables and address say what cannot be meant. Names them, never a secret."""


class Tls(StrEnum):
    """What the variable may say. Not the two that may end without TLS."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"

    @classmethod
    def read(cls, text: str) -> "Tls":
        """Read the variable.

        Raises:
            TlsError: It says something else.
        """
        try:
            return cls(text)
        except ValueError:
            raise TlsError(f"got {text}, want {', '.join(cls)}") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """What the variables say, and what the address does."""

    mode: Tls | None
    ca_file: str | None
    address: Mapping[str, str]
    """Parameters of the address."""

    @property
    def parameters(self) -> dict[str, str]:
        """What the driver is told, in libpq's words."""
        told = {"sslmode": self.mode or self.address.get("sslmode"), "sslrootcert": self.ca_file or None}
        return {name: str(value) for name, value in told.items() if value is not None}

    def problems(self) -> list[str]:
        """What cannot work together, or at all."""
        stated, mode = self.address.get("sslmode"), self.parameters.get("sslmode")
        verifies = mode in (Tls.VERIFY_CA, Tls.VERIFY_FULL)
        problems: list[str] = []
        if stated is not None and stated not in SSLMODES:
            problems.append(f"DATABASE_URL: got sslmode={stated}, want {', '.join(SSLMODES)}")
        elif stated is not None and stated != mode:
            problems.append(f"{VARIABLE}: got {mode}, but the address says sslmode={stated}; say it once")
        if verifies and not (self.ca_file or self.address.get("sslrootcert")):
            problems.append(f"{CA_VARIABLE}: want the file with the certificates that {mode} checks against")
        if self.ca_file and not verifies:
            problems.append(f"{CA_VARIABLE}: nothing is verified; want {VARIABLE} verify-ca or verify-full")
        if self.ca_file and not Path(self.ca_file).is_file():
            problems.append(f"{CA_VARIABLE}: there is no file {self.ca_file}")
        return problems


def protect(address: str, environment: Mapping[str, str]) -> str:
    """An address with all that was said about how its connection is protected.

    Args:
        address: DSN with libpq's parameters.
        environment: Where the variables are.

    Raises:
        TlsError: What is said cannot be meant.
        ValueError: The address cannot be read.
    """
    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        mode = Tls.read(environment[VARIABLE]) if VARIABLE in environment else None
    except TlsError as exc:
        raise TlsError(f"{VARIABLE}: {exc}") from None
    protection = Protection(mode=mode, ca_file=environment.get(CA_VARIABLE), address=given)
    if problems := protection.problems():
        raise TlsError("; ".join(problems))
    return parts._replace(query=urlencode({**given, **protection.parameters})).geturl()
