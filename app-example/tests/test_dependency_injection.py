"""Everything that a route uses is given to it, so that a test can give it something else."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, NoReturn
from uuid import uuid4

import pytest
import schemathesis
from fastapi import FastAPI, HTTPException
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from app.auth.identity import current_identity
from app.auth.tokens import Identity, Role
from app.main import create_app
from app.request_context import request_id
from tests.support import serve, valid_settings

EXAMPLES = 10
"""Requests for each operation; the first valid one reaches what was put in the place of a resource."""
SENT = ("method", "url", "params", "json", "headers", "data", "files")
"""What of a generated request our client knows."""


class Stub:
    """Stands for a resource: says that it was reached."""

    def __getattr__(self, name: str) -> NoReturn:
        """Answer whatever a service asks."""
        raise HTTPException(HTTPStatus.IM_A_TEAPOT, detail=name)


def stubbed() -> FastAPI:
    """Return an application in which nothing that a lifespan opens is real."""
    app = create_app(valid_settings())
    for provider in set(_providers(app)):
        app.dependency_overrides[provider] = Stub
    identity = Identity(user_id=uuid4(), tenant_id=uuid4(), role=Role.ADMIN)
    app.dependency_overrides[current_identity] = lambda: identity
    return app


def _providers(app: FastAPI) -> Iterator[Callable[..., Any]]:
    """Find what reads the state of the process: dependencies that take the connection itself."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            yield from (each.call for each in _tree(route.dependant) if each.call and _takes_connection(each.call))


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _tree(each)


def _takes_connection(call: Callable[..., Any]) -> bool:
    if not inspect.isfunction(call):
        return False
    kinds = [each.annotation for each in inspect.signature(call).parameters.values()]
    return any(inspect.isclass(kind) and issubclass(kind, HTTPConnection) for kind in kinds)


@pytest.mark.control("dependency-injected-services")
@pytest.mark.processes
def test_no_route_touches_the_network_when_its_providers_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[object] = []

    async def refuse(*arguments: object, **_options: object) -> NoReturn:
        # The process's own chores have connections, too.
        if request_id.get() is not None:
            touched.append(arguments[1:])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    app = stubbed()
    operations = _operations(app)
    reached: set[str] = set()

    async def call(case: Any) -> int:
        arguments: dict[str, Any] = case.as_transport_kwargs(base_url="http://orders.test")
        async with serve(app) as client:
            return (await client.request(**{name: arguments[name] for name in SENT if arguments.get(name)})).status_code

    @settings(database=None, deadline=None, derandomize=True, max_examples=EXAMPLES, phases=[Phase.generate])
    @given(data=st.data())
    def try_all(data: st.DataObject) -> None:
        for label, cases in operations.items():
            status = asyncio.run(call(data.draw(cases)))
            assert status < HTTPStatus.INTERNAL_SERVER_ERROR, label
            if status == HTTPStatus.IM_A_TEAPOT:
                reached.add(label)

    try_all()
    assert touched == []
    assert reached == set(operations)


def _operations(app: FastAPI) -> dict[str, Any]:
    """Return a strategy of valid requests for each operation."""
    schema: Any = schemathesis.openapi.from_dict(app.openapi())
    return {
        operation.label: operation.as_strategy()
        for operation in (result.ok() for result in schema.get_all_operations())
    }
