"""Who may call what, over the whole route table: a new route is in here by being there."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from app.auth.identity import CurrentAdmin, current_admin, current_identity
from app.auth.tokens import Role
from app.main import create_app
from app.settings import Settings
from tests.auth.support import bearer
from tests.support import serve, signed_in, valid_settings

SETTINGS = valid_settings()

PUBLIC = {
    ("GET", "/docs"),
    ("GET", "/docs.js"),
    ("GET", "/healthz/live"),
    ("GET", "/healthz/ready"),
    ("GET", "/healthz/startup"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/products"),
    ("GET", "/v1/products/{sku}"),
    ("POST", "/v1/auth/password-reset"),
    ("POST", "/v1/auth/password-reset/confirmation"),
    ("POST", "/v1/auth/refresh"),
    ("POST", "/v1/auth/register"),
    ("POST", "/v1/auth/sign-out"),
    ("POST", "/v1/auth/token"),
}
"""What anybody may call; everything else must ask who calls."""


def routes() -> dict[tuple[str, str], RouteContext]:
    """Return the route table; HEAD goes with GET."""
    found = iter_route_contexts(create_app(SETTINGS).routes)
    return {(method, str(route.path)): route for route in found for method in (route.methods or {"GET"}) - {"HEAD"}}


def dependencies(dependant: Dependant) -> Iterator[object]:
    """Return all that a route depends on, at any depth."""
    for each in dependant.dependencies:
        yield each.call
        yield from dependencies(each)


def asked_by(route: RouteContext) -> set[object]:
    """Return which checks of this folder a route asks."""
    dependant: Dependant | None = getattr(route, "dependant", None)
    return set(dependencies(dependant)) & {current_identity, current_admin} if dependant else set()


ROUTES = routes()
PROTECTED = sorted(set(ROUTES) - PUBLIC)
FOR_ADMINS = sorted(name for name, route in ROUTES.items() if current_admin in asked_by(route))


async def call(method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Call a route with ids that nobody has; neither database nor Redis is there."""
    app = create_app(SETTINGS)

    @app.get("/v1/administration")
    async def administration(_identity: CurrentAdmin) -> None:  # pyright: ignore[reportUnusedFunction]
        pass

    concrete = re.sub(r"\{[^}]*\}", "00000000-0000-4000-8000-000000000000", path)
    async with serve(app) as client:
        return await client.request(method, concrete, headers=headers)


def assert_unauthorized(response: httpx.Response) -> None:
    """Compare with the one answer to somebody who does not say who they are."""
    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.control("auth-via-dependencies")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_a_route_that_is_not_public_depends_on_who_calls(method: str, path: str) -> None:
    assert current_identity in asked_by(ROUTES[method, path])


@pytest.mark.control("auth-via-dependencies")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic b3JkZXJzOm9yZGVycw=="}, bearer("hunter2")],
    ids=["nothing", "basic", "junk"],
)
async def test_a_route_that_is_not_public_refuses_the_anonymous(
    method: str, path: str, headers: dict[str, str]
) -> None:
    """Whatever else is missing from the request: who calls comes first."""
    assert_unauthorized(await call(method, path, headers))


@pytest.mark.control("auth-via-dependencies")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_a_route_that_is_not_public_refuses_the_token_of_another_service(method: str, path: str) -> None:
    other: Settings = valid_settings(service_name="payments")
    assert_unauthorized(await call(method, path, signed_in(other)))


@pytest.mark.control("auth-via-dependencies")
@pytest.mark.parametrize(("method", "path"), [*FOR_ADMINS, ("GET", "/v1/administration")])
async def test_a_route_for_administrators_refuses_members_and_admits_administrators(method: str, path: str) -> None:
    response = await call(method, path, signed_in(SETTINGS))
    assert response.status_code == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (await call(method, path, signed_in(SETTINGS, role=Role.ADMIN))).status_code != 403
    assert_unauthorized(await call(method, path))


@pytest.mark.control("auth-via-dependencies")
@pytest.mark.parametrize(("method", "path"), sorted(PUBLIC))
def test_what_is_listed_as_public_exists_and_asks_nobody_who_calls(method: str, path: str) -> None:
    """A list that outlived its routes would hide the next one of that name."""
    assert asked_by(ROUTES[method, path]) == set()


def test_there_is_something_to_protect() -> None:
    assert ("GET", "/v1/auth/me") in PROTECTED
