"""What is in the image, and what is not."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fastapi_platform.planning.process import ProcessModel, Server, command
from tests.conftest import ROOT
from tests.image.conftest import build
from tests.image.layout import Layout

pytestmark = pytest.mark.image

APP_MEGABYTES = 250
"""Budget of what the build adds to its base, unpacked; it was 150 when this was set."""
INSTALLERS = re.compile(
    r"/bin/(uvx?|pip[\d.]*|wheel|gcc|cc|ld|make|git)$|/ensurepip$|/python-wheels$|\.whl$"
    r"|-packages/(uv|pip|setuptools|pkg_resources|wheel|hatchling)$"
)
TESTS = re.compile(
    r"^/app/(tests|development)$|-packages/(pytest|_pytest|hypothesis|schemathesis|pyright|ruff)$"
)
LEFT_BEHIND = re.compile(r"^/(runtime|opt/uv|run/secrets)(/|$)|/\.cache(/|$)")
WRITABLE = re.compile(r"^/(tmp|var/tmp|run/lock|dev/\w+)$")
UNCHECKED_HASH = 1
"""Second word of a .pyc: it holds for its source by content, and nobody looks whether the source changed."""
DEBIAN_TRUSTS = ("/usr/share/ca-certificates/mozilla/", "/usr/share/doc/ca-certificates/examples/")
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def lock() -> set[tuple[str, str]]:
    """Locked packages with their versions: those of development too, and of every Python."""
    document = tomllib.loads((ROOT / "app-example/uv.lock").read_text())
    return {(package["name"], package["version"]) for package in document["package"] if "version" in package}


def test_it_starts_the_server_that_the_platform_would_start(image: Layout):
    """The image's own command and the platform's cannot disagree about a timeout."""
    config = image.configuration["config"]
    assert tuple(config["Cmd"]) == command(ProcessModel(server=Server.RUNTIME), port=8000)
    assert "Entrypoint" not in config
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert "Healthcheck" not in config


def test_it_says_what_it_was_built_from(image: Layout):
    labels = image.configuration["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == git("rev-parse", "HEAD")
    version = tomllib.loads((ROOT / "app-example/pyproject.toml").read_text())["project"]["version"]
    assert labels["org.opencontainers.image.version"] == version
    assert {"org.opencontainers.image.title", "org.opencontainers.image.source"} <= set(labels)
    environment = dict(entry.split("=", 1) for entry in image.configuration["config"]["Env"])
    assert environment["RELEASE"] == version
    assert environment["TZ"] == "UTC"


@pytest.mark.control("minimal-runtime-image")
def test_it_runs_as_a_number_that_owns_and_may_change_nothing(image: Layout):
    assert image.configuration["config"]["User"] == "10001:10001"
    assert {(found.uid, found.gid) for path, found in image.files.items() if path.startswith("/app")} == {(0, 0)}
    assert not [path for path, found in image.files.items() if 10001 in (found.uid, found.gid)]
    writable = [path for path, found in image.files.items() if found.mode & 0o002 and not found.issym()]
    assert not [path for path in writable if not WRITABLE.match(path)]


@pytest.mark.control("minimal-runtime-image")
def test_nothing_in_it_installs_builds_or_tests(image: Layout):
    unwanted = (INSTALLERS, TESTS, LEFT_BEHIND)
    assert [path for path in image.files if any(kind.search(path) for kind in unwanted)] == []
    app = {path.split("/")[2] for path in image.files if path.startswith("/app/")}
    assert app == {".venv", "alembic.ini", "app", "migrations"}


@pytest.mark.control("minimal-runtime-image")
def test_it_stays_within_its_budget(image: Layout):
    size = sum(found.size for path, found in image.files.items() if path.startswith("/app/"))
    assert 20_000_000 < size < APP_MEGABYTES * 1_000_000


@pytest.mark.control("minimal-runtime-image")
def test_a_second_build_gives_the_same_bytes(image: Layout, tmp_path: Path):
    again = build(tmp_path / "oci")
    if again.digest != image.digest:  # say what differs first, rather than which digest
        assert again.fingerprints() == image.fingerprints()
        assert again.configuration == image.configuration
    assert again.digest == image.digest


def test_python_is_compiled_in_it_and_by_content(image: Layout, root: Path):
    """By time it would be compiled anew at every start, when a registry or a copy changes the times."""
    python = [Path(path) for path in image.files if path.endswith(".py")]
    sources = [path for path in python if path.match("/app/app/*.py") or path.match("/app/migrations/*.py")]
    libraries = [path for path in python if path.parent.name == "fastapi_platform_runtime"]
    assert len(sources) > 10
    assert len(libraries) > 5
    for source in (*sources, *libraries):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        header = (root / str(compiled).lstrip("/")).read_bytes()[4:8]
        assert int.from_bytes(header, "little") == UNCHECKED_HASH, compiled


def test_no_certificate_came_in_from_the_building_machine(image: Layout):
    """A build behind a proxy trusts that proxy; whoever runs the image must not."""
    trusted: set[bytes] = set()
    found: dict[str, set[bytes]] = {}
    for path, content in image.contents((".crt", ".pem", ".cer", "ca-bundle")):
        certificates = set(CERTIFICATE.findall(content))
        if path.startswith(DEBIAN_TRUSTS) or path.endswith("/site-packages/certifi/cacert.pem"):
            trusted |= certificates
        else:
            found[path] = certificates
    assert len(trusted) > 100
    assert len(found["/etc/ssl/certs/ca-certificates.crt"]) > 100
    assert {path: len(strange) for path, here in found.items() if (strange := here - trusted)} == {}
    for needle in ("ca-bundle", os.environ.get("SSL_CERT_FILE", "SSL_CERT_FILE"), "/proxy"):
        assert needle not in json.dumps(image.configuration)


@pytest.fixture(scope="session")
def bill(image: Layout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if shutil.which("trivy") is None:
        assert not os.environ.get("REQUIRE_TOOLS"), "trivy is not on PATH, and this run promised it"
        pytest.skip("needs trivy: `make container`, which installs it")
    file = tmp_path_factory.mktemp("bill") / "orders.cdx.json"
    subprocess.run([ROOT / ".ci/image/sbom", image.folder, file], check=True)
    return json.loads(file.read_text())


@pytest.mark.control("sbom-and-image-signature", "lockfile-frozen-install")
def test_the_bill_of_materials_names_what_the_lock_names(bill: dict[str, Any]):
    assert bill["bomFormat"] == "CycloneDX"
    python = {
        entry["name"].lower().replace("_", "-").replace(".", "-"): entry["version"]
        for entry in bill["components"]
        if entry.get("purl", "").startswith("pkg:pypi/")
    }
    assert {"fastapi", "fastapi-platform-runtime", "sqlalchemy", "uvicorn"} <= set(python)
    assert python.items() - lock() == set()
    assert not {"pytest", "ruff", "pyright"} & set(python)


def test_the_bill_of_materials_names_the_packages_of_the_base(bill: dict[str, Any]):
    """They are most of what has vulnerabilities."""
    debian = {entry["name"] for entry in bill["components"] if entry.get("purl", "").startswith("pkg:deb/")}
    assert {"libc6", "libssl3", "openssl"} <= debian
