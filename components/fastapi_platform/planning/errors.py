"""How the platform refuses a bad value: one message with path, value, wanted value, reason and next step.

Owns the error types. Deliberately does not decide where a value came from: whoever read it from a file puts the
file's path in front with `Problem.under`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from . import secrecy

SHOWN_LENGTH = 80
"""A longer value is cut in a message: the reader needs to recognise it, not to read all of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refused value."""

    owner: str
    """Where the field is: a class name, or a dotted path in a stack file; may be empty at the top."""
    field: str
    """Name of the field, or empty when the owner as a whole is wrong."""
    got: str
    """The refused value as it should be shown; never a secret."""
    want: str
    """What would be accepted, with its unit."""
    why: str
    """Reason, in a clause without a full stop."""
    fix: str
    """Next step, a sentence."""

    @property
    def path(self) -> str:
        """Dotted path of the field, e.g. `service.probes.readiness_path`."""
        return ".".join(part for part in (self.owner, self.field) if part)

    def under(self, owner: str) -> "Problem":
        """The same problem seen from a stack file: `owner` replaces the class name."""
        return replace(self, owner=owner)

    def __str__(self) -> str:
        return f"{self.path}: got {self.got}, want {self.want}; {self.why}. {self.fix}"


class PlatformError(ValueError):
    """A plan that cannot work. Carries every problem found, so that one run shows them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be true of one field of an owner; see `expect`."""

    field: str
    holds: bool
    want: str
    why: str
    fix: str
    got: str | None


def expect(field: str, holds: bool, *, want: str, why: str, fix: str = "", got: str | None = None) -> Expectation:
    """State what one field needs.

    Args:
        field: Name of the field on the owner.
        holds: Whether the value is acceptable.
        want: Acceptable values, with their unit.
        why: The reason, in a clause without a full stop.
        fix: The next step; by default to set the field to what is wanted.
        got: The value as shown; by default the field's own. Name the parts of a mapping that may hold secrets.
    """
    return Expectation(field, holds, want, why, fix or f"Set {field} to {want}.", got)


def verify(owner: object, *expectations: Expectation) -> None:
    """Raise one error with every expectation that does not hold.

    Raises:
        PlatformError: when any expectation fails; its problems are in the order given.
    """
    problems = [_problem(owner, expectation) for expectation in expectations if not expectation.holds]
    if problems:
        raise PlatformError(problems)


def shown(value: object) -> str:
    """A value as a message prints it: cut to `SHOWN_LENGTH` characters, a credential replaced."""
    text = value if isinstance(value, str) else repr(value)
    if secrecy.hidden_text(text) != text:
        return secrecy.REDACTED
    text = text if text else "nothing"
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}… ({len(text)} characters)"


def _problem(owner: object, expectation: Expectation) -> Problem:
    return Problem(
        owner=type(owner).__name__,
        field=expectation.field,
        got=shown(getattr(owner, expectation.field)) if expectation.got is None else expectation.got,
        want=expectation.want,
        why=expectation.why,
        fix=expectation.fix,
    )
