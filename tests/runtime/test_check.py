"""The contract check against applications that keep it, and against ones that break it in one point each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_platform_runtime import check

pytestmark = pytest.mark.processes

SECRET = "hunter2-and-a-half"
GOOD = '''
import asyncio, os
from contextlib import asynccontextmanager
from fastapi import FastAPI
from fastapi_platform_runtime import health

@asynccontextmanager
async def lifespan(app):
    yield {"judge": health.Health()}

def create_app():
    missing = [name for name in ("SHOP_ADDRESS", "SHOP_MODE") if name not in os.environ]
    if missing:
        raise ValueError(f"want {', '.join(missing)}")
    production = os.environ["SHOP_MODE"] != "local"
    app = FastAPI(lifespan=lifespan, openapi_url=None if production else "/openapi.json")
    app.router.routes.extend(health.routes(lambda request: request.state.judge))
    # more
    return app
'''
ENVIRONMENT = f"# production\nSHOP_MODE=production\n\nSHOP_ADDRESS=https://it:{SECRET}@shop.example.com/?a=b\n"
Judge = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Judge:
    """Check an application; gives verdict and words by point."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_MODE", "leaks from the caller")

    def judge(source: str = GOOD, environment: str = ENVIRONMENT, app: str = "shop:create_app", words: str = ""):
        (tmp_path / "shop.py").write_text(source)
        (tmp_path / "production").write_text(environment)
        given = ["--environment-file", "production"] if environment else []
        status = check.main([app, *given, *words.split(), "--format", "json"])
        shown = capsys.readouterr()
        assert SECRET not in shown.out + shown.err
        points = {each["name"]: (each["verdict"], each["said"]) for each in json.loads(shown.out)["points"]}
        assert status == any(verdict == "finding" for verdict, _ in points.values())
        return points

    return judge


def with_(more: str) -> str:
    return GOOD.replace("# more", more)


def findings(points: dict[str, tuple[str, str]]) -> set[str]:
    return {name for name, (verdict, _) in points.items() if verdict == "finding"}


def test_an_application_that_keeps_the_contract_has_no_finding_and_leaves_nothing_unjudged(judge: Judge):
    points = judge()
    assert {verdict for verdict, _ in points.values()} == {"ok"}
    assert points["settings"][1] == "without variables it refuses to start, and names SHOP_ADDRESS, SHOP_MODE"
    assert len(points) == 9


LIVE = 'health.routes(lambda request: request.state.judge)'
ROUTE = 'app.router.routes.clear()\n    app.get("/healthz/{probe}", include_in_schema=False)'
BROKEN = [
    ("live", GOOD.replace(f"app.router.routes.extend({LIVE})", "pass")),
    ("live", with_('app.add_middleware(__import__("starlette.middleware.trustedhost").middleware.trustedhost'
                   '.TrustedHostMiddleware, allowed_hosts=["shop.example.com"])')),
    ("live", with_("from starlette.responses import Response; from starlette.routing import Route\n"
                   "    ask = lambda request: Response(str(request.state.judge))\n"
                   '    app.router.routes[:] = [Route("/healthz/{probe}", ask)]')),
    ("live", with_(f"import socket\n    {ROUTE}(lambda probe: socket.getaddrinfo('127.0.0.1', 1) and None)")),
    ("live", with_("class Silent:\n        def __init__(self, app): self.app = app\n"
                   "        async def __call__(self, s, r, d):\n"
                   "            if s['type'] != 'http': await self.app(s, r, d)\n"
                   "    app.add_middleware(Silent)")),
    ("ready", GOOD.replace('yield {"judge": health.Health()}', "yield {}")),
    ("description", with_('app.get("/healthz/ready")(lambda: 1)')),
    ("docs", GOOD.replace('None if production else "/openapi.json"', '"/internal/schema"')),
    ("forwarded", with_("from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware\n"
                        '    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts="*")')),
    ("forwarded", with_("class Believing:\n        def __init__(self, app): self.app = app\n"
                        "        async def __call__(self, s, r, d):\n            if s['type'] == 'http':\n"
                        "                named = dict(s['headers']).get(b'x-forwarded-for', b'?').decode()\n"
                        "                s = {**s, 'client': (named, 1)}\n"
                        "            await self.app(s, r, d)\n    app.add_middleware(Believing)")),
    ("blocking", GOOD + "async def handler():\n    import time; time.sleep(1)\n"),
    ("blocking", GOOD + "async def handler():\n    import urllib.request as r; r.urlopen('http://it')\n"),
    ("blocking", GOOD + "import subprocess\nasync def handler():\n    subprocess.run('it')\n"),
    ("blocking", GOOD + "async def handler():\n    open('it').read()\n"),
    ("start", GOOD.replace('("SHOP_ADDRESS", "SHOP_MODE")', '("SHOP_ADDRESS", "SHOP_MODE", "SHOP_KEY")')),
    ("settings", GOOD.replace("raise ValueError(f\"want {', '.join(missing)}\")", "raise KeyError('it')")),
    ("settings", GOOD.replace("if missing:", "if False:").replace('os.environ["SHOP_MODE"]',
                                                                  'os.environ.get("SHOP_MODE", "local")')),
]


@pytest.mark.parametrize(("point", "source"), BROKEN)
def test_an_application_that_breaks_one_point_is_told_which(point: str, source: str, judge: Judge):
    points = judge(source)
    assert point in findings(points)
    allowed = {"live": {"ready", "startup"}, "ready": {"startup"}}
    assert findings(points) <= {point, *allowed.get(point, set())}, points


def test_what_needs_no_variable_and_is_closed_is_right_too(judge: Judge):
    points = judge(GOOD.replace("if missing:", "if False:").replace('os.environ["SHOP_MODE"]', '"production"'), "")
    assert points["settings"] == ("ok", "it needs no variable, and without any takes itself for production")
    assert findings(points) == set()


def test_an_application_that_answers_to_one_name_is_judged_under_that_name(judge: Judge):
    """Anything else would take a refused request for a page that is not there."""
    guarded = with_(
        "class Guard:\n        def __init__(self, app): self.app = app\n        async def __call__(self, s, r, d):\n"
        "            named = dict(s.get('headers', ())).get(b'host')\n"
        "            if s['type'] != 'http' or s['path'].startswith('/healthz/') or named == b'shop.example.com':\n"
        "                return await self.app(s, r, d)\n"
        "            await d({'type': 'http.response.start', 'status': 400, 'headers': []})\n"
        "            await d({'type': 'http.response.body'})\n    app.add_middleware(Guard)")
    assert {judge(guarded)[name][0] for name in ("docs", "forwarded")} == {"not judged"}
    assert {verdict for verdict, _ in judge(guarded, words="--host shop.example.com").values()} == {"ok"}
    shown = guarded.replace('None if production else "/openapi.json"', '"/openapi.json"')
    assert findings(judge(shown, words="--host shop.example.com")) == {"docs"}


def test_without_an_environment_it_says_what_it_needs_and_judges_no_further(judge: Judge):
    points = judge(environment="")
    assert points["start"] == ("finding", "it does not load with this environment (ValueError), naming "
                               "SHOP_ADDRESS, SHOP_MODE")
    assert {points[name][0] for name in ("live", "ready", "docs", "forwarded")} == {"not judged"}


def test_a_refusal_in_the_lifespan_counts_and_pydantic_is_understood(judge: Judge):
    refusing = (
        "from pydantic_core import ValidationError\nfrom fastapi import FastAPI\n"
        "from contextlib import asynccontextmanager\n@asynccontextmanager\nasync def lifespan(app):\n"
        "    wrong = [{'type': 'missing', 'loc': ('address',), 'input': {}}]\n"
        "    raise ValidationError.from_exception_data('Settings', wrong)\n"
        "    yield\napp = FastAPI(lifespan=lifespan, openapi_url=None)\n"
    )
    points = judge(refusing, app="shop:app")
    assert points["settings"] == ("ok", "without variables it refuses to start, and names ADDRESS")
    assert points["startup"][0] == "ok"


def test_a_value_is_not_shown_although_the_application_shows_it(judge: Judge):
    loud = GOOD.replace("if missing:", "print(dict(os.environ))\n    if True:").replace(
        "{', '.join(missing)}", "{dict(os.environ)}")
    points = judge(loud, ENVIRONMENT + "SHOP_TOKEN=VALUE_OF_THE_TOKEN\n")
    assert "SHOP_TOKEN" in points["start"][1]
    assert "VALUE_OF" not in str(points)


def test_an_application_that_ends_its_process_is_a_finding(judge: Judge):
    points = judge("import os\nos._exit(9)\n")
    assert points["start"] == ("finding", "it does not load with this environment (exit status 9)")


@pytest.mark.parametrize(("words", "app"), [("", "shop:app"), ("--no-factory", "shop:app"), ("--factory", "shop:make")])
def test_an_application_is_told_from_its_factory(words: str, app: str, judge: Judge):
    source = GOOD + "class Make:\n    def __call__(self):\n        return create_app()\nmake = Make()\n"
    if app == "shop:app":
        source += "app = create_app()\n"
    assert findings(judge(source, app=app, words=words)) == set()


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (("nowhere:app",), "", "cannot check nowhere:app: there is no module nowhere here"),
        (("shop.nowhere:app",), "", "cannot check shop.nowhere:app: there is no module"),
        (("shop:nothing",), "", "cannot check shop:nothing: there is no nothing in shop"),
        (("shop",), "", "want module:attribute"),
        (("shop:create_app", "--environment-file", "none"), "", "cannot read none: FileNotFoundError"),
        (("shop:create_app", "--environment-file", "it"), f"A=1\n{SECRET}", "it, line 2: want NAME=VALUE"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(
    words: tuple[str, ...], environment: str, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(GOOD)
    (tmp_path / "it").write_text(environment)
    with pytest.raises(SystemExit) as ended:
        check.main(words)
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert said in shown.err.splitlines()[-1]
    assert SECRET not in shown.err + shown.out


def test_without_ruff_blocking_calls_are_not_judged(judge: Judge, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    verdict, said = judge()["blocking"]
    assert (verdict, "pip install ruff" in said) == ("not judged", True)


def test_each_point_is_a_line_and_the_last_one_counts(
    judge: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    judge()
    assert check.main(["shop:create_app", "--environment-file", "production"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "ok          live: /healthz/live answers 200 and touches nothing"
    assert lines[-1] == "9 ok, 0 finding, 0 not judged"
