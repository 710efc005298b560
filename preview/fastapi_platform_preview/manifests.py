"""The Kubernetes manifests of a stack, in deploy order, without secrets.

Owns turning records into YAML documents and files. Deliberately writes `[secret]` and `[unknown]` where there is no
value to write: a manifest with a marker in it is for reading and checking, not for applying.
"""

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
from .errors import refuse

HEAD = ("apiVersion", "kind", "metadata")
"""Keys that come first, as people write them."""
MARK = ".fastapi-platform"
"""Name of the file that says a folder was written by this command and may be overwritten by it."""


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


def write(manifests: tuple[Manifest, ...], directory: Path) -> None:
    """Write each manifest into a file of its own, numbered in deploy order; files of an earlier run go first.

    Raises:
        UsageError: when the folder holds something that this command did not write, or cannot be written.
    """
    try:
        _clear(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MARK).write_text("Written by `fastapi-platform`; its neighbours are replaced at the next run.\n")
        for number, manifest in enumerate(manifests, start=1):
            (directory / f"{number:03d}-{manifest.name}.yaml").write_text(manifest.yaml())
    except OSError as error:
        raise refuse(
            "--out", "", got=f"{directory} ({error.strerror})", want="a folder that can be written",
            why="each object goes into a file of its own there", fix="Name another folder.",
        ) from error


def _clear(directory: Path) -> None:
    if not directory.exists():
        return
    if any(directory.iterdir()) and not (directory / MARK).is_file():
        raise refuse(
            "--out", "", got=f"{directory}, which holds other files", want="a new or empty folder",
            why="the files of the last run are removed before writing, and these are not ours",
            fix="Name another folder.",
        )
    for file in directory.glob("[0-9][0-9][0-9]*-*.yaml"):
        file.unlink()


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
    hidden = kubernetes_kind(record) == "Secret" and isinstance(value, Marker)
    return {"redacted": value} if hidden else value


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
