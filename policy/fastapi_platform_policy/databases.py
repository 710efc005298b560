"""Where a container says its database is.

Owns finding the variables that carry a database's address, and telling a pooled address from a direct one by what it
is called. Deliberately never sees the address of a Secret: only the Secret's and the key's names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .program import Program
from .record import Marker, Value, at, items, text
from .workloads import Workload

_VARIABLE = re.compile(r"DATABASE_(?:URL|DSN|HOST)|POSTGRES_HOST|PG_?HOST|DB_(?:URL|DSN|HOST)")
_POOLED = re.compile(r"pool|pgbouncer|pgcat|:6432\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """A variable that carries the address of a database."""

    variable: str
    secret: str
    """`name/key` of the Secret it comes from; empty when it is in clear."""
    value: Value
    """The value in clear; absent when it comes from a Secret."""

    def pooled(self, hosts: frozenset[str]) -> bool:
        """Whether it leads to a pooler, by its name or because it names a pooler's Service."""
        clear = text(self.value)
        return bool(_POOLED.search(self.secret) or _POOLED.search(clear)) or any(host in clear for host in hosts)


def addresses(workload: Workload) -> tuple[Address, ...]:
    """Every variable of a workload that carries a database's address."""
    return tuple(
        Address(text(at(variable, "name")), _secret(variable), at(variable, "value"))
        for container in workload.containers()
        for variable in items(container.at("env"))
        if _VARIABLE.search(text(at(variable, "name")))
    )


def pooler_hosts(program: Program) -> frozenset[str]:
    """Names of the Services in front of the poolers of a program."""
    return frozenset(
        name
        for selection in program.selections
        if selection.role == "Service" and any(_is_pooler(workload) for workload in selection.workloads)
        if (name := text(selection.record.at("metadata", "name")))
    )


def _is_pooler(workload: Workload) -> bool:
    return any(_POOLED.search(text(container.at("image"))) for container in workload.containers())


def _secret(variable: Value) -> str:
    reference = at(variable, "valueFrom", "secretKeyRef")
    return "" if reference is Marker.ABSENT else "/".join(_parts(reference))


def _parts(reference: Value) -> Iterator[str]:
    yield text(at(reference, "name"))
    yield text(at(reference, "key"))
