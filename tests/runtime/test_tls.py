"""How the migration runner's connection is protected: as the service's is, by the same variables."""

import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fastapi_platform_runtime.outcome import Outcome
from fastapi_platform_runtime.tls import TlsError, protect
from tests.runtime import postgres
from tests.runtime.postgres import Postgres, image, migrate

URL = "postgresql://it:hunter2@db.test:6432/it"
EXPAND = 'phase = "expand"|pass'


@pytest.mark.parametrize(
    ("address", "variables", "protected"),
    [
        (URL, {}, URL),
        (URL, {"DATABASE_TLS": "require"}, f"{URL}?sslmode=require"),
        (f"{URL}?sslmode=require", {"DATABASE_TLS": "require"}, f"{URL}?sslmode=require"),
        (f"{URL}?application_name=a+b", {"DATABASE_TLS": "disable"}, f"{URL}?application_name=a+b&sslmode=disable"),
        (URL, {"DATABASE_TLS": "verify-full", "DATABASE_TLS_CA_FILE": __file__},
         f"{URL}?sslmode=verify-full&sslrootcert={__file__.replace('/', '%2F')}"),
        ("postgresql://it:p%2F%3Fw@/it?host=/run", {"DATABASE_TLS": "disable"},
         "postgresql://it:p%2F%3Fw@/it?host=%2Frun&sslmode=disable"),
    ],
)
def test_what_the_variables_say_becomes_part_of_the_address(address: str, variables: dict[str, str], protected: str):
    assert protect(address, variables) == protected


@pytest.mark.parametrize(
    ("address", "variables", "said"),
    [
        (URL, {"DATABASE_TLS": "prefer"}, "DATABASE_TLS: got prefer, want disable, require, verify-ca, verify-full"),
        (URL, {"DATABASE_TLS": "verify-full"}, "DATABASE_TLS_CA_FILE: want the file"),
        (f"{URL}?sslmode=disable", {"DATABASE_TLS": "require"}, "DATABASE_TLS: got require, but the address says"),
        (f"{URL}?sslmode=requier", {}, "DATABASE_URL: got sslmode=requier, want disable"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(address: str, variables: dict[str, str], said: str):
    with pytest.raises(TlsError) as caught:
        protect(address, variables)
    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)


@pytest.mark.services
def test_a_server_without_tls_is_not_migrated_when_tls_is_wanted(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATABASE_TLS", "require")
    done = migrate(database, image(tmp_path, EXPAND), "--connect-timeout", "1")
    assert (done.status, done.last) == (
        Outcome.UNREACHABLE, "cannot reach the database: it offers no TLS, which DATABASE_TLS or sslmode wants"
    )
    monkeypatch.setenv("DATABASE_TLS", "disable")
    assert migrate(database, tmp_path).status == 0


@pytest.fixture(scope="module")
def protected_server() -> Generator[tuple[Postgres, Path]]:
    """A server that shows a certificate for 127.0.0.1, and the file of whoever signed it."""
    if postgres.programs() is None:
        pytest.skip(postgres.NO_POSTGRES)
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    with TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        certificate = Path(folder) / "it.crt"
        subprocess.run(
            ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=it",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/it.key", "-out", certificate),
            check=True, capture_output=True, timeout=60,
        )
        with postgres.postgres(Path(folder) / "it", certificate) as started:
            yield started, certificate


@pytest.mark.services
def test_only_a_server_that_can_be_verified_is_migrated(
    protected_server: tuple[Postgres, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server, certificate = protected_server
    encrypted = "SELECT 1 / ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    folder = image(tmp_path, f'phase = "expand"|op.execute("{encrypted}")')
    monkeypatch.setenv("DATABASE_TLS", "verify-full")
    monkeypatch.setenv("DATABASE_TLS_CA_FILE", str(certificate))
    elsewhere = server.new_database().replace("127.0.0.1", "localhost")
    done = migrate(elsewhere, folder, "--connect-timeout", "1")
    assert (done.status, "its certificate cannot be verified" in done.last) == (Outcome.UNREACHABLE, True)
    assert migrate(elsewhere.replace("localhost", "127.0.0.1"), folder).status == 0
