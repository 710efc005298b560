"""Why an application did not load, in one line.

Owns what is said about an exception that an application raised while it was imported or made: its type, its message and
the last line of the application's own that it passed. What a variable of the environment says is shown as the
variable's name. Deliberately shows no traceback: what went wrong there is nearly always a setting.
"""

import site
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .outcome import LONGEST_MESSAGE, secrets_of

SHORTEST_VALUE = 6
"""Characters; a shorter value of a variable occurs in words that have nothing to do with it."""


def reason(exc: Exception, environment: Mapping[str, str]) -> str:
    """Describe an exception without what the environment says."""
    message = " ".join(_message(exc).split())
    for value, name in _values(environment):
        message = message.replace(value, f"[value of {name}]")
    said = f"{type(exc).__name__}: {message}"[:LONGEST_MESSAGE] if message else type(exc).__name__
    return f"{said} ({_where(exc)})"


def _message(exc: Exception) -> str:
    """What an exception says; pydantic's without the input, which it shows shortened and so beyond recognition."""
    errors: Any = getattr(exc, "errors", None)
    if not (callable(errors) and type(exc).__module__.startswith("pydantic")):
        return str(exc)
    found: Any = errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)


def _values(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Values and passwords within them, each with its variable, longest first."""
    found = {part: name for name, value in environment.items() for part in (*secrets_of(value), value)}
    return sorted(((part, name) for part, name in found.items() if len(part) >= SHORTEST_VALUE),
                  key=lambda each: len(each[0]), reverse=True)


def _where(exc: Exception) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    here, foreign = Path.cwd(), tuple(map(Path, site.getsitepackages()))
    own = [each for each in frames if Path(each.filename).is_relative_to(here)
           and not any(Path(each.filename).is_relative_to(folder) for folder in foreign)]
    last = (own or frames)[-1]
    path = Path(last.filename)
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{last.lineno}"
