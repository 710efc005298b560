"""What the platform expects of an application, judged by what was observed.

Owns the points of the contract and what to do about each. Pure: an application is tried by `check` and `inspection`.
Each point is ok, a finding, or not judged, and then says what it would need. Deliberately shows of an application's own
words only the names of variables, and none that occurs in a value: an error message may carry a secret.
"""

import re
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .inspection import FORGED, PEER

_NAMES = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_FIELDS = re.compile(r"^(\w+)\n\s+.*\[type=", re.MULTILINE)
"""How pydantic lists what is missing."""
_SHOWN = 8
_NAME = "--host NAME, by which clients call it"


class Verdict(StrEnum):
    """What a point came to."""

    OK = "ok"
    FINDING = "finding"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the contract."""

    name: str
    verdict: Verdict
    said: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:10}  {self.name}: {self.said}{f'. Instead: {self.instead}' if self.instead else ''}"


@dataclass(frozen=True, slots=True)
class Blocking:
    """What was found about calls that block the event loop."""

    judged: bool
    calls: tuple[str, ...] = ()
    modules: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One application in one environment."""

    failed: str | None
    lifespan_failed: str | None
    names: tuple[str, ...]
    """Variables that it named when it refused to start."""
    observed: Mapping[str, Any] = field(repr=False)
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, observed: Mapping[str, Any], output: str, values: Collection[str]) -> "Trial":
        """Take only what may be shown from what an application said."""
        said = f"{observed.get('said', '')}\n{output}"
        found = {*_NAMES.findall(said), *(name.upper() for name in _FIELDS.findall(said))}
        names = sorted(name for name in found if not any(name.lower() in value.lower() for value in values))
        return cls(
            observed.get("failed"), observed.get("lifespan_failed"), tuple(names), observed,
            tuple(observed.get("files", ())),
        )

    @property
    def not_there(self) -> str | None:
        """What the command line names and does not exist."""
        return self.observed.get("not_there")

    @property
    def shut(self) -> int | None:
        """Status that every request got before it reached a route."""
        return self.observed["seen_status"] if self.observed["seen"] is None else None

    @property
    def shows_docs(self) -> list[str]:
        """Pages of documentation that are answered."""
        return sorted(path for path, answer in self.observed["docs"].items() if (answer["status"] or 500) < 400)


def judge(empty: Trial, stated: Trial, probes: Mapping[str, str], blocking: Blocking, *, given: bool) -> list[Point]:
    """All points.

    Args:
        empty: The application without any variable.
        stated: The application as in production; the same as `empty` when nothing was given.
        probes: Paths, by name.
        blocking: What was found in its modules.
        given: Whether an environment was given.
    """
    return [_settings(empty), *_started(stated, probes, given), _blocking(blocking)]


def _settings(empty: Trial) -> Point:
    name = "settings"
    if empty.failed or empty.lifespan_failed:
        why = empty.failed or empty.lifespan_failed
        if empty.names:
            return Point(name, Verdict.OK, f"without variables it refuses to start, and names {_some(empty.names)}")
        fix = "validate all settings when the application is made, and say which variables are missing"
        return Point(name, Verdict.FINDING, f"without variables it ends ({why}) and names none of them", fix)
    if empty.shows_docs:
        fix = "what is not set means production: no docs, and a start that is refused while something is missing"
        return Point(name, Verdict.FINDING, f"it starts without variables, and not as in production: it shows "
                     f"{_some(empty.shows_docs)}", fix)
    if empty.shut:
        said = f"it starts without variables, and answers requests with {empty.shut} before a route"
        return Point(name, Verdict.NOT_JUDGED, said, _NAME)
    return Point(name, Verdict.OK, "it needs no variable, and without any takes itself for production")


def _started(stated: Trial, probes: Mapping[str, str], given: bool) -> Generator[Point]:
    if stated.failed:
        named = f", naming {_some(stated.names)}" if stated.names else ""
        fix = "complete the environment file" if given else "--environment-file FILE, with what it needs in production"
        yield Point("start", Verdict.FINDING, f"it does not load with this environment ({stated.failed}){named}", fix)
        for name in ("live", "ready", "startup", "description", "docs", "forwarded"):
            yield Point(name, Verdict.NOT_JUDGED, "it does not load")
        return
    yield Point("start", Verdict.OK, "it loads with this environment")
    yield _live(stated, probes["live"])
    yield _ready(stated, probes["ready"])
    yield _startup(stated, probes)
    yield _description(stated, probes)
    yield _docs(stated)
    yield _forwarded(stated)


def _live(trial: Trial, path: str) -> Point:
    answer = trial.observed["probes"]["live"]
    fix = "app.router.routes.extend(health.routes(…)), before anything that needs a dependency or a host name"
    if answer["status"] != 200:
        said = f"{path} {_came(answer)} before the lifespan began; the kubelet restarts what does not answer 200"
        return Point("live", Verdict.FINDING, said, fix)
    if answer["touched"]:
        said = f"{path} reaches for something outside the process ({', '.join(answer['touched'])})"
        return Point("live", Verdict.FINDING, f"{said}: with it, every pod would be restarted at once", fix)
    return Point("live", Verdict.OK, f"{path} answers 200 and touches nothing")


def _ready(trial: Trial, path: str) -> Point:
    answer = trial.observed["probes"]["ready"]
    if answer["status"] in (200, 503):
        return Point("ready", Verdict.OK, f"{path} answers {answer['status']}")
    if trial.lifespan_failed and answer["status"] != 404:
        said = f"{path} {_came(answer)}, and the lifespan does not start here ({trial.lifespan_failed})"
        fix = "a lifespan that starts while a dependency is away, or the dependency here"
        return Point("ready", Verdict.NOT_JUDGED, said, fix)
    fix = "app.router.routes.extend(health.routes(…)); while something is away: 503 within 2 seconds"
    return Point("ready", Verdict.FINDING, f"{path} {_came(answer)}, want 200 or 503", fix)


def _startup(trial: Trial, probes: Mapping[str, str]) -> Point:
    answer = trial.observed["probes"]["startup"]
    path = probes["startup"]
    if answer["status"] == 404:
        return Point("startup", Verdict.OK, f"there is no {path}; the platform asks {probes['live']} meanwhile")
    if answer["status"] in (200, 503):
        return Point("startup", Verdict.OK, f"{path} answers {answer['status']}")
    if trial.lifespan_failed:
        return Point("startup", Verdict.NOT_JUDGED, f"the lifespan does not start here ({trial.lifespan_failed})")
    fix = "app.router.routes.extend(health.routes(…))"
    return Point("startup", Verdict.FINDING, f"{path} {_came(answer)}, want 200 or 503", fix)


def _description(trial: Trial, probes: Mapping[str, str]) -> Point:
    described: list[str] | None = trial.observed["described"]
    if described is None:
        return Point("description", Verdict.NOT_JUDGED, "it has no API description that can be asked for")
    found = sorted(set(described) & set(probes.values()))
    if found:
        fix = "include_in_schema=False, or health.routes(…)"
        return Point("description", Verdict.FINDING, f"the API description shows clients {_some(found)}", fix)
    return Point("description", Verdict.OK, "the probes are not in the API description")


def _docs(trial: Trial) -> Point:
    if trial.shows_docs:
        fix = "FastAPI(openapi_url=None) unless the environment says that this is no production"
        return Point("docs", Verdict.FINDING, f"with this environment it shows {_some(trial.shows_docs)}", fix)
    if trial.shut:
        return Point("docs", Verdict.NOT_JUDGED, f"requests are answered with {trial.shut} before a route", _NAME)
    return Point("docs", Verdict.OK, "no docs page and no schema is answered")


def _forwarded(trial: Trial) -> Point:
    seen, status = trial.observed["seen"], trial.observed["seen_status"]
    fix = "leave it to the server: --proxy-headers and --forwarded-allow-ips, which the platform sets"
    if trial.observed["trusts_everyone"]:
        said = 'ProxyHeadersMiddleware is installed with trusted_hosts="*": any client says who it is'
        return Point("forwarded", Verdict.FINDING, said, fix)
    if seen is None:
        came = "it has no routes to add one to" if status is None else f"the request was answered with {status} before"
        return Point("forwarded", Verdict.NOT_JUDGED, f"no route was reached: {came}", _NAME if status else "")
    believed = [what for what, forged in (("client", FORGED), ("scheme", "https")) if seen[what] == forged]
    if believed or seen["client"] != PEER:
        said = f"a peer that nobody trusts changes the {' and the '.join(believed or ['client'])} with a forged header"
        return Point("forwarded", Verdict.FINDING, said, fix)
    return Point("forwarded", Verdict.OK, "forged X-Forwarded-* and Forwarded headers change neither client nor scheme")


def _blocking(blocking: Blocking) -> Point:
    if not blocking.judged:
        return Point("blocking", Verdict.NOT_JUDGED, blocking.why)
    if blocking.calls:
        said = f"calls in async functions hold every other request: {_some(blocking.calls)}"
        return Point("blocking", Verdict.FINDING, said, "the async way, or await asyncio.to_thread(…)")
    return Point("blocking", Verdict.OK, f"no known blocking call in an async function of {blocking.modules} modules")


def _came(answer: Mapping[str, Any]) -> str:
    status, error = answer["status"], answer["error"]
    return f"answers {status or 'nothing'}{f' ({error})' if error else ''}"


def _some(items: Collection[str]) -> str:
    shown = list(items)[:_SHOWN]
    more = len(items) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
