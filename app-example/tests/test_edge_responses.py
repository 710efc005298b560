"""What every answer has: hardening headers, a word about storing it, and a policy."""

import pytest

from app.main import create_app
from tests.edge_routes import edge_app
from tests.support import production_settings, serve, signed_in, valid_settings

ANSWERS = [
    ("GET", "/healthz/live", 200),
    ("GET", "/healthz/ready", 503),
    ("GET", "/v1/edge/headers", 200),
    ("GET", "/v1/edge/failing/404", 404),
    ("GET", "/v1/edge/stream", 200),
    ("GET", "/v1/edge/redirect", 307),
    ("GET", "/v1/edge/html", 200),
    ("GET", "/v1/edge/broken", 500),
    ("GET", "/v1/edge/plain-error", 418),
    ("GET", "/v1/nothing", 404),
    ("DELETE", "/v1/orders", 405),
    ("GET", "/v1/orders?limit=0", 422),
    ("OPTIONS", "/v1/orders", 405),
]


@pytest.mark.control("security-headers", "cache-control-headers")
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_has_each_header_exactly_once(method: str, path: str, status: int) -> None:
    async with serve(edge_app()) as client:
        response = await client.request(method, path, headers=signed_in(production_settings()))
    assert response.status_code == status
    assert response.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert response.headers.get_list("X-Frame-Options") == ["DENY"]
    assert response.headers.get_list("Referrer-Policy") == ["no-referrer"]
    assert len(response.headers.get_list("Content-Security-Policy")) == 1
    (cache,) = response.headers.get_list("Cache-Control")
    assert cache == ("private, max-age=5" if path == "/v1/edge/headers" else "no-store")


@pytest.mark.control("cache-control-headers")
@pytest.mark.parametrize("origin", [{}, {"Origin": "https://shop.test"}])
async def test_what_others_may_keep_is_kept_for_each_origin(origin: dict[str, str]) -> None:
    async with serve(edge_app()) as client:
        headers = (await client.get("/v1/edge/public", headers=origin)).headers
    assert headers.get_list("Cache-Control") == ["public, max-age=60"]
    assert sorted(", ".join(headers.get_list("Vary")).split(", ")) == ["Accept", "Origin"]


@pytest.mark.control("cache-control-headers")
async def test_what_somebody_signed_in_reads_is_kept_by_nobody() -> None:
    settings = production_settings()
    async with serve(edge_app(settings)) as client:
        response = await client.get("/v1/edge/stream", headers=signed_in(settings))
    assert response.headers.get_list("Cache-Control") == ["no-store"]


@pytest.mark.control("security-headers")
@pytest.mark.parametrize(("origin", "status"), [("https://shop.test", 200), ("https://evil.test", 400)])
async def test_answers_of_library_middleware_have_the_headers_too(origin: str, status: int) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with serve(edge_app()) as client:
        preflight = await client.options("/v1/orders", headers=headers)
        stranger = await client.get("/v1/orders", headers={"Host": "evil.test"})
    assert (preflight.status_code, stranger.status_code) == (status, 400)
    for response in (preflight, stranger):
        assert response.headers.get_list("X-Content-Type-Options") == ["nosniff"]
        assert response.headers.get_list("X-Frame-Options") == ["DENY"]


@pytest.mark.control("security-headers")
async def test_https_is_enforced_elsewhere() -> None:
    """The load balancer sets the header; two owners would disagree one day."""
    async with serve(create_app(production_settings())) as client:
        assert "Strict-Transport-Security" not in (await client.get("/healthz/live")).headers


@pytest.mark.control("csp-on-html")
async def test_html_that_somebody_adds_runs_nothing() -> None:
    async with serve(edge_app()) as client:
        policy = (await client.get("/v1/edge/html")).headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.control("csp-on-html")
async def test_the_docs_page_needs_no_inline_script_and_no_wildcard() -> None:
    async with serve(create_app(valid_settings())) as client:
        page = await client.get("/docs")
        script = await client.get("/docs.js")
    assert page.headers["Content-Type"].startswith("text/html")
    (policy,) = page.headers.get_list("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "*" not in policy
    tags = [line for line in page.text.splitlines() if line.startswith(("<script", "<link"))]
    assert page.text.count("<script") == 2
    assert page.text.count("<style") == 0
    assert all("integrity=" in tag for tag in tags if "https://" in tag)
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert 'url: "/openapi.json"' in script.text


@pytest.mark.control("csp-on-html")
async def test_production_has_no_html_at_all() -> None:
    app = create_app(production_settings())
    async with serve(app) as client:
        for path in ("/", "/docs", "/redoc", "/index.html", "/healthz/live"):
            assert "html" not in (await client.get(path)).headers["Content-Type"]
