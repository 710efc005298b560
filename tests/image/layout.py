"""An image in OCI layout, as a build leaves it: its configuration, and the files of its layers.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import hashlib
import json
import os
import posixpath
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

WHITEOUT = ".wh."
"""What the name of an empty file begins with that stands for: there is no such file from this layer on."""


@dataclass(frozen=True)
class Layout:
    """An image in a folder."""

    folder: Path

    @property
    def digest(self) -> str:
        """Of the manifest: what a deployment names."""
        return self._read("index.json")["manifests"][0]["digest"]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self._read(self._blob(self.digest))

    @cached_property
    def configuration(self) -> dict[str, Any]:
        return self._read(self._blob(self.manifest["config"]["digest"]))

    @cached_property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """What a container would see, by absolute path."""
        seen: dict[str, tarfile.TarInfo] = {}
        for layer in self.layers():
            for member in layer:
                path = _path(member)
                gone = _hidden(path)
                if gone is None:
                    seen[path] = member
                else:
                    seen = {other: found for other, found in seen.items() if other != gone and not _under(other, gone)}
        return seen

    def layers(self) -> Iterator[tarfile.TarFile]:
        """The layers, the base's first."""
        for layer in self.manifest["layers"]:
            with tarfile.open(self.folder / self._blob(layer["digest"])) as opened:
                yield opened

    def contents(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Every regular file of every layer whose name ends so, those that a later layer hides too."""
        for layer in self.layers():
            for member in layer:
                if member.isreg() and member.name.endswith(suffixes):
                    opened = layer.extractfile(member)
                    assert opened is not None
                    yield _path(member), opened.read()

    def fingerprints(self) -> dict[str, tuple[int, float, str]]:
        """Mode, time and hash of the content of every member of every layer, by layer and path."""
        made: dict[str, tuple[int, float, str]] = {}
        for number, layer in enumerate(self.layers()):
            for member in layer:
                content = layer.extractfile(member) if member.isreg() else None
                digest = hashlib.sha256(content.read() if content else member.linkname.encode()).hexdigest()
                made[f"{number}:{member.name}"] = (member.mode, member.mtime, digest)
        return made

    def unpack(self, root: Path) -> None:
        """Lay the files out as the root of a container; needs to be root to give them their owners."""
        for layer in self.layers():
            # Python before 3.11.4 asks for no filter and takes no argument of that name.
            layer.extraction_filter = _as_it_is
            for member in layer:
                gone = _hidden(_path(member))
                if gone is None:
                    layer.extract(member, root)
                    continue
                there = root / gone.lstrip("/")
                if there.is_dir() and not there.is_symlink():
                    shutil.rmtree(there)
                elif os.path.lexists(there):
                    there.unlink()

    def _read(self, path: str) -> Any:
        return json.loads((self.folder / path).read_text())

    @staticmethod
    def _blob(digest: str) -> str:
        return f"blobs/{digest.replace(':', '/')}"


def _path(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(f"/{member.name}")


def _hidden(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.removeprefix(WHITEOUT)}" if name.startswith(WHITEOUT) else None


def _under(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _as_it_is(member: tarfile.TarInfo, _folder: str) -> tarfile.TarInfo:
    return member
