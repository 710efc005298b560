"""Names with a limit: every physical name that Kubernetes or a cloud bounds goes through here.

Owns the DNS-label rules and the stable shortening. Deliberately has no other way to shorten a name: a bare slice makes
two things collide without a word.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

import hashlib
import re

from .errors import Expectation, PlatformError, Problem, expect, shown

LABEL_LIMIT = 63
"""Characters in a DNS label: Services, Pods of a Job, label values."""
HASH_LENGTH = 8
"""Hex digits that keep two shortened names apart (32 bits)."""
OBJECT_LIMIT = 253
"""Characters in the name of an object that is no address: ConfigMaps, Secrets."""
WORKLOAD_LIMIT = 52
"""Characters in a workload's name: CronJobs and StatefulSets add eleven of their own to their pods."""
SERVICE_LIMIT = 30
"""Characters in a service's name: what is left for it when the longest derived name must fit unshortened."""
ROLE_LIMIT = 18
"""Characters in the name of a worker or a schedule, which is added to its service's."""

_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def is_dns_label(text: str) -> bool:
    """Whether Kubernetes accepts the text as the name of anything, a Service included (RFC 1035 label)."""
    return len(text) <= LABEL_LIMIT and _DNS_LABEL.fullmatch(text) is not None


def digest(*parts: str, length: int = HASH_LENGTH) -> str:
    """First `length` hex digits of the SHA-256 of the parts; the order of the parts matters."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:length]


def fit(base: str, *, suffix: str = "", limit: int = LABEL_LIMIT) -> str:
    """Join base and suffix, shortening the base with a stable hash when the whole is too long.

    Args:
        base: A DNS label, the part that people recognise.
        suffix: Kept whole at the end, e.g. a release hash.
        limit: Characters allowed.

    Returns:
        `base-suffix`, or `shortened-hash-suffix` of at most `limit` characters.

    Raises:
        PlatformError: when the base is no DNS label, or the limit leaves no room for the hash.
    """
    if _DNS_LABEL.fullmatch(base) is None:
        raise PlatformError([_not_a_label(base)])
    tail = f"-{suffix}" if suffix else ""
    if len(base) + len(tail) <= limit:
        return base + tail
    tail = f"-{digest(base)}{tail}"
    room = limit - len(tail)
    if room < 1:
        raise PlatformError([_no_room(base, suffix, limit)])
    return base[:room].rstrip("-") + tail


def service_expectation(field: str, name: str) -> Expectation:
    """That every name derived from a service's name fits its limit."""
    return expect(
        field, is_dns_label(name) and len(name) <= SERVICE_LIMIT, got=f"{shown(name)} ({len(name)} characters)",
        want=f"a DNS label of {SERVICE_LIMIT} characters or fewer",
        why=f"Kubernetes ends names at {LABEL_LIMIT} characters, and the platform adds a role and a hash to this one",
        fix="Choose a name of lower-case letters, digits and '-' after a letter; it is part of every address.",
    )


def role_expectation(field: str, name: str) -> Expectation:
    """The same for the name of a worker or a schedule, which is added to its service's."""
    return expect(
        field, is_dns_label(name) and len(name) <= ROLE_LIMIT, got=f"{shown(name)} ({len(name)} characters)",
        want=f"a DNS label of {ROLE_LIMIT} characters or fewer",
        why="it becomes part of names that Kubernetes limits",
        fix="Choose a short name of lower-case letters, digits and '-' after a letter.",
    )


def _not_a_label(base: str) -> Problem:
    return Problem(
        "names.fit", "base", shown(base), "lower-case letters, digits and '-', starting with a letter",
        "Kubernetes refuses other names", "Rename it.",
    )


def _no_room(base: str, suffix: str, limit: int) -> Problem:
    return Problem(
        "names.fit", "base", f"{shown(base)} ({len(base)} characters)",
        f"a base, an {HASH_LENGTH}-digit hash and '{suffix}' within {limit} characters",
        "nothing would be left of the name once its hash is added", "Choose a shorter suffix.",
    )
