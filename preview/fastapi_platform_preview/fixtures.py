"""Answers that a preview gives in place of a cloud.

Owns the fixtures file: what data sources (`get_…`) and reads of existing resources answer. Deliberately has no default
answer: a question that nobody declared is refused by name.

    invokes:
      gcp:organizations/getProject:getProject:
        - args: {projectId: acme}        # optional: arguments that must match
          returns: {number: "123456789"}
    reads:
      "pulumi:pulumi:StackReference":
        - id: acme/network/production
          returns: {outputs: {vpcId: net-1}}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import yaml_document
from .errors import refuse
from .yaml_document import as_list, as_mapping, described

DEFAULT_NAME = "preview-fixtures.yaml"
"""Looked for beside Pulumi.yaml."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """One declared answer."""

    token: str
    """Token of the function, or type token of the resource that is read."""
    args: Mapping[str, Any]
    """Arguments that the question must have."""
    returns: Mapping[str, Any]

    def answer(self) -> dict[str, Any]:
        """The form in which a child takes it."""
        return {"token": self.token, "args": dict(self.args), "returns": dict(self.returns)}


def load(path: Path) -> tuple[Fixture, ...]:
    """The fixtures of a file.

    Raises:
        UsageError: when the file cannot be read or has another shape.
    """
    document = yaml_document.read(path, "it holds the answers to what the program asks a cloud")
    unknown = sorted(set(document) - {"invokes", "reads"})
    if unknown:
        raise _malformed(path, unknown[0], "an unknown key", "invokes or reads")
    return (*_section(path, document, "invokes"), *_section(path, document, "reads"))


def _section(path: Path, document: Mapping[str, Any], section: str) -> Iterator[Fixture]:
    tokens = as_mapping(document.get(section, {}))
    if tokens is None:
        raise _malformed(path, section, described(document.get(section)), "a mapping of tokens")
    for token, answers in tokens.items():
        entries = as_list(answers)
        if entries is None:
            raise _malformed(path, f"{section}.{token}", described(answers), "a list of answers")
        for position, entry in enumerate(entries):
            yield _fixture(path, f"{section}.{token}[{position}]", str(token), as_mapping(entry) or {})


def _fixture(path: Path, where: str, token: str, entry: Mapping[str, Any]) -> Fixture:
    returns = as_mapping(entry.get("returns"))
    if returns is None:
        raise _malformed(path, where, "no `returns`", "a mapping with `returns`, and `args` or `id`")
    args = as_mapping(entry.get("args")) or {}
    return Fixture(token, args | ({"id": entry["id"]} if "id" in entry else {}), returns)


def _malformed(path: Path, where: str, got: str, want: str) -> Exception:
    return refuse(
        path.name, where, got=got, want=want, why="an answer must name its question", fix=f"Correct {path}."
    )
