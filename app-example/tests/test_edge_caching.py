"""Answers that others may keep, and those that they may not."""

import pytest

from app.edge.caching import entity_tag, matches
from tests.edge_routes import edge_app
from tests.support import production_settings, serve, signed_in


@pytest.mark.control("cache-control-headers")
async def test_a_cacheable_answer_says_for_how_long_and_has_a_validator() -> None:
    async with serve(edge_app()) as client:
        response = await client.get("/v1/cached")
    assert response.headers.get_list("Cache-Control") == ["public, max-age=60"]
    assert response.headers["ETag"] == entity_tag(response.content)


@pytest.mark.control("cache-control-headers")
async def test_a_client_that_has_the_answer_gets_no_body() -> None:
    async with serve(edge_app()) as client:
        tag = (await client.get("/v1/cached")).headers["ETag"]
        again = await client.get("/v1/cached", headers={"If-None-Match": f'"old", W/{tag}'})
        changed = await client.get("/v1/cached", headers={"If-None-Match": '"old"'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    assert again.headers.get_list("Cache-Control") == ["public, max-age=60"]
    assert "Content-Type" not in again.headers
    assert (changed.status_code, changed.json()) == (200, [1, 2, 3])


@pytest.mark.control("cache-control-headers")
@pytest.mark.parametrize("path", ["/v1/cached/missing", "/v1/cached?", "/v1/edge/failing/404"])
async def test_errors_are_never_kept(path: str) -> None:
    async with serve(edge_app()) as client:
        response = await client.post(path) if path.endswith("?") else await client.get(path)
    assert response.status_code in (404, 405)
    assert response.headers.get_list("Cache-Control") == ["no-store"]


@pytest.mark.control("cache-control-headers")
async def test_what_somebody_signed_in_reads_is_kept_by_nobody() -> None:
    settings = production_settings()
    async with serve(edge_app(settings)) as client:
        response = await client.get("/v1/edge/stream", headers=signed_in(settings))
    assert response.headers.get_list("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [(None, False), ("", False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ("a", False)],
)
def test_a_validator_is_found_in_what_a_client_sends(if_none_match: str | None, expected: bool) -> None:
    assert matches(if_none_match, '"a"') is expected
