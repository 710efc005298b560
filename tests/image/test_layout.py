"""The reader of images, which the tests of the image believe."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.image.container import remove_shells
from tests.image.layout import Layout


def blob(folder: Path, content: bytes) -> dict[str, str]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}"}


def layer(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def image(folder: Path, *layers: Mapping[str, bytes]) -> Layout:
    manifest = {
        "config": blob(folder, b'{"config": {"User": "10001"}}'),
        "layers": [blob(folder, layer(files)) for files in layers],
    }
    index = {"manifests": [blob(folder, json.dumps(manifest).encode())]}
    (folder / "index.json").write_text(json.dumps(index))
    return Layout(folder)


def test_what_a_later_layer_takes_away_is_gone_and_still_in_the_image(tmp_path: Path):
    made = image(
        tmp_path / "oci",
        {"usr/bin/sh": b"shell", "usr/lib/pip/x.pem": b"secret", "./usr/lib/pipes": b"kept"},
        {"usr/lib/.wh.pip": b"", "usr/bin/.wh.sh": b"", "app/main": b"app"},
    )
    assert set(made.files) == {"/usr/lib/pipes", "/app/main"}
    assert list(made.contents((".pem",))) == [("/usr/lib/pip/x.pem", b"secret")]
    made.unpack(tmp_path / "root")
    left = {str(path.relative_to(tmp_path / "root")) for path in (tmp_path / "root").rglob("*") if path.is_file()}
    assert left == {"usr/lib/pipes", "app/main"}
    assert made.configuration["config"]["User"] == "10001"


def test_every_shell_is_removed(tmp_path: Path):
    made = image(tmp_path / "oci", {"usr/bin/dash": b"", "usr/bin/bash": b"", "usr/bin/env": b"", "bin/sh": b""})
    made.unpack(tmp_path / "root")
    assert remove_shells(tmp_path / "root") == 3
    assert [path.name for path in (tmp_path / "root").rglob("*") if path.is_file()] == ["env"]
