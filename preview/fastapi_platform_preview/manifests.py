"""The Kubernetes manifests of a stack, in deploy order, without secrets.

Owns turning records into YAML documents and files. Deliberately writes `[secret]` and `[unknown]` where there is no
value to write: a manifest with a marker in it is for reading and checking, not for applying.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fastapi_platform.planning import names
from fastapi_platform_policy import credentials
from fastapi_platform_policy.program import Program
from fastapi_platform_policy.record import Marker, Record, Value, plain, text
from fastapi_platform_policy.workloads import kubernetes_kind

from . import order
from .errors import UsageError, refuse

HEAD = ("apiVersion", "kind", "metadata")
"""Keys that come first, as people write them."""
MARK = ".fastapi-platform"
"""Name of the file that lists what this command has written into a folder, and replaces at the next run."""
HEADING = "Written by `fastapi-platform`, which replaces these files, and no others, at the next run:"
_OURS = re.compile(r"[0-9]{3,}-[a-z0-9-]+\.yaml")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a stack."""

    name: str
    """File name without its number, e.g. `deployment-orders`."""
    document: dict[str, Any]
    """The object as plain data, markers as text."""

    def yaml(self) -> str:
        """The object as a YAML document."""
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return yaml.dump(self.document, Dumper=dumper, sort_keys=False, default_flow_style=False, width=120)


def of_program(program: Program) -> tuple[Manifest, ...]:
    """Manifests of all Kubernetes objects, in deploy order; what looks like a credential is not in them."""
    shown = credentials.without(program)
    return tuple(_manifest(record) for record in order.deploy_order(shown) if kubernetes_kind(record))


def as_stream(manifests: tuple[Manifest, ...]) -> str:
    """All manifests as one YAML stream."""
    return "".join(f"---\n{manifest.yaml()}" for manifest in manifests)


def usable(directory: Path) -> None:
    """See that manifests can be written into a folder, which need not exist.

    Raises:
        UsageError: when it holds something that this command did not write, or cannot be written.
    """
    try:
        found = {entry.name for entry in directory.iterdir()} if directory.exists() else set[str]()
    except OSError as error:
        raise _unwritable(directory, error.strerror) from error
    if found and MARK not in found:
        raise _foreign(directory, "other files")
    nearest = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise _unwritable(directory, "not a folder" if nearest.is_file() else "no right to write there")


def write(manifests: tuple[Manifest, ...], directory: Path) -> None:
    """Write each manifest into a file of its own, numbered in deploy order; those of an earlier run go first.

    Raises:
        UsageError: when the folder holds something that this command did not write, or cannot be written.
    """
    usable(directory)
    contents = {f"{number:03d}-{each.name}.yaml": each.yaml() for number, each in enumerate(manifests, start=1)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        earlier = _written(directory)
        taken = sorted(name for name in contents if name not in earlier and (directory / name).exists())
        if taken:
            raise _foreign(directory, taken[0])
        for name in earlier:
            (directory / name).unlink(missing_ok=True)
        (directory / MARK).write_text("".join(f"{line}\n" for line in (HEADING, *contents)))
        for name, content in contents.items():
            (directory / name).write_text(content)
    except OSError as error:
        raise _unwritable(directory, error.strerror) from error


def _written(directory: Path) -> set[str]:
    """Names of the files that an earlier run has written into a folder."""
    mark = directory / MARK
    return {line for line in mark.read_text().splitlines() if _OURS.fullmatch(line)} if mark.exists() else set()


def _unwritable(directory: Path, reason: str | None) -> UsageError:
    return refuse(
        "--out", "", got=f"{directory} ({reason})", want="a folder that can be written",
        why="each object goes into a file of its own there", fix="Name another folder.",
    )


def _foreign(directory: Path, held: str) -> UsageError:
    return refuse(
        "--out", "", got=f"{directory}, which holds {held}", want="a new or empty folder, or one of an earlier run",
        why="what the last run wrote is replaced, and this is not from there", fix="Name another folder.",
    )


def _manifest(record: Record) -> Manifest:
    kind = kubernetes_kind(record).lower()
    name = text(record.at("metadata", "name")) or record.name
    return Manifest(names.fit(f"{kind}-{_file_name(name)}", limit=120), dict(_ordered(record)))


def _ordered(record: Record) -> Iterator[tuple[str, Any]]:
    keys = [*(key for key in HEAD if key in record.inputs), *sorted(key for key in record.inputs if key not in HEAD)]
    for key in keys:
        yield key, plain(_redacted(record, key))


def _redacted(record: Record, key: str) -> Value:
    """An input; what a Secret holds as a whole stays a mapping, or the document would not be a Secret."""
    value = record.inputs[key]
    hidden = kubernetes_kind(record) == "Secret" and key in ("data", "stringData") and isinstance(value, Marker)
    return {"redacted": value} if hidden else value


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
