"""The route table: what holds for every route, whoever wrote it."""

import inspect
from collections.abc import Iterator
from types import NoneType
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel
from starlette.routing import Route

from app.auth.identity import current_identity
from app.main import create_app
from tests.support import production_settings, valid_settings

WITHOUT_MODEL = {
    ("GET", "/v1/exports/{export_id}/content"),
    ("GET", "/v1/orders/{order_id}/attachments/{attachment_id}"),
    ("POST", "/v1/assistant/replies"),
}
"""Method and path of each route that answers with a stream or a file; it declares its media type instead."""
INTERNAL = {"/healthz/live", "/healthz/ready", "/healthz/startup"}


def table() -> list[RouteContext]:
    """Return every route of the API, as it is served."""
    contexts = iter_route_contexts(create_app(production_settings()).routes)
    return [each for each in contexts if isinstance(each.original_route, APIRoute)]


def names(routes: list[RouteContext]) -> set[tuple[str, str]]:
    """Return method and path of routes."""
    return {(method, str(route.path)) for route in routes for method in route.methods or ()}


def tree(dependant: Dependant) -> Iterator[Dependant]:
    """Walk through a route's dependencies, and theirs."""
    for each in dependant.dependencies:
        yield each
        yield from tree(each)


def is_public(route: RouteContext) -> bool:
    return all(each.call is not current_identity for each in tree(route.dependant))


@pytest.mark.control("api-versioning")
def test_every_route_of_the_api_is_in_a_version() -> None:
    assert [route.path for route in table() if not str(route.path).startswith("/v1/")] == []


@pytest.mark.control("internal-routes-hidden-from-schema")
def test_other_routes_are_the_probes_and_are_in_no_description() -> None:
    app = create_app(production_settings())
    others = {route.path for route in app.routes if isinstance(route, Route) and not isinstance(route, APIRoute)}
    assert others == INTERNAL
    described = create_app(valid_settings()).openapi()["paths"]
    assert set(described) == {path for _, path in names(table())}


@pytest.mark.control("modular-thin-routers")
def test_no_route_is_declared_on_the_application() -> None:
    assert [route for route in create_app(valid_settings()).routes if isinstance(route, APIRoute)] == []


@pytest.mark.control("typed-models-on-routes")
def test_every_route_declares_the_model_of_its_answer() -> None:
    untyped = [route for route in table() if not _is_typed(route.response_model) and route.status_code != 204]
    assert names(untyped) == WITHOUT_MODEL
    for route in untyped:
        described = create_app(valid_settings()).openapi()["paths"][route.path]
        for method in route.methods or ():
            success = next(answer for status, answer in described[method.lower()]["responses"].items() if status < "3")
            assert set(success["content"]) - {"application/json"}


@pytest.mark.control("typed-models-on-routes")
def test_every_body_is_a_model() -> None:
    for route in table():
        for each in (route.dependant, *tree(route.dependant)):
            for field in each.body_params:
                kind = field.field_info.annotation
                is_form = type(field.field_info).__name__ in ("File", "Form")
                assert is_form or _is_model(kind), f"{route.path}: {field.name}"


@pytest.mark.control("consistent-error-schema")
def test_every_operation_declares_the_shape_of_errors() -> None:
    paths = create_app(valid_settings()).openapi()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert operations
    for operation in operations:
        assert set(operation["responses"]["default"]["content"]) == {"application/problem+json"}


@pytest.mark.control("cache-control-headers")
def test_what_others_may_keep_is_the_same_for_everybody() -> None:
    """A route that answers 304 lets others keep its answer, which must then be nobody's in particular."""
    cacheable = [route for route in table() if 304 in route.responses]
    assert names(cacheable) >= {("GET", "/v1/products")}
    assert [route.path for route in cacheable if not is_public(route)] == []


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def _is_typed(kind: Any) -> bool:
    return kind not in (None, NoneType, Any, dict, list)


@pytest.mark.parametrize("route", table(), ids=lambda route: f"{sorted(route.methods)[0]} {route.path}")
def test_no_dependency_is_given_in_a_thread(route: RouteContext) -> None:
    """What is not a coroutine goes through a thread in every request; four of them cost more than all the rest."""
    plain = [each.call for each in tree(route.dependant) if inspect.isfunction(each.call)]
    assert [call for call in plain if not (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))] == []
