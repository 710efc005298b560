"""Versions, and the ranges in which Pulumi.yaml states which CLI a project needs.

Owns the comparison. Deliberately answers that it cannot tell about a range it cannot read.
Source: https://github.com/blang/semver#ranges
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+.*)?")
_TERM = re.compile(r"(<=|>=|!=|!|<|>|==|=|)\s*v?(\d+\.\d+\.\d+)(?=\s|\||$)\s*")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "": operator.eq, "=": operator.eq, "==": operator.eq, "!": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}


def allowed(version: str, accepted: str) -> bool | None:
    """Whether a version is in a range such as `>=3.219.0 <4.0.0 || 5.0.0`; None when either cannot be read.

    A pre-release (`3.219.0-alpha.1`) comes before its release.
    """
    number = _numbers(version)
    answers = [_all_hold(number, part.strip()) for part in accepted.split("||")] if number else [None]
    return None if None in answers else True in answers


def _numbers(version: str) -> tuple[int, ...] | None:
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = tuple(int(part) for part in found.group(1, 2, 3))
    return (*numbers, 0 if found[4] else 1)


def _all_hold(number: tuple[int, ...], part: str) -> bool | None:
    terms = list(_TERM.finditer(part))
    if not terms or "".join(term[0] for term in terms) != part:
        return None
    return all(_COMPARISONS[term[1]](number, _numbers(term[2])) for term in terms)
