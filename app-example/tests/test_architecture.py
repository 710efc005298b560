"""How the code is built: what may be where, read from the source and from the modules as they are imported."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

import app
from tests.support import ROOT

CLIENT_LIBRARIES = {"asyncpg", "httpx", "obstore", "redis", "sqlalchemy", "taskiq", "taskiq_redis"}
"""What talks to something outside of the process: services and repositories use it, routes do not."""
CLIENT_MODULES = {"app.database", "app.redis"}
MAX_STATEMENTS = 6
"""Of an endpoint, its docstring aside: enough for one call to a service and what HTTP adds to its answer."""
RESOURCES = (AsyncEngine, AsyncSession, Engine, Redis, async_sessionmaker, httpx.AsyncClient, httpx.Client)
METHODS = {"api_route", "delete", "get", "head", "options", "patch", "post", "put", "websocket"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> dict[str, ast.Module]:
    """Return every module of the application by its path."""
    paths = sorted((ROOT / "app").rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imported(module: ast.Module) -> set[str]:
    """Return the names of the modules that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def makes_a_router(module: ast.Module) -> bool:
    calls = (node.func for node in ast.walk(module) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "APIRouter" for called in calls)


def routers() -> dict[str, ast.Module]:
    """Return the modules that declare routes."""
    found = {path: module for path, module in sources().items() if makes_a_router(module)}
    assert found
    return found


def endpoints(module: ast.Module) -> Iterator[Function]:
    """Return the functions that a router decorates."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = [each.func for each in node.decorator_list if isinstance(each, ast.Call)]
            if any(isinstance(each, ast.Attribute) and each.attr in METHODS for each in called):
                yield node


@pytest.mark.control("settings-validated-at-startup")
def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path
        for path, module in sources().items()
        if imported(module) & {"os.environ", "os.getenv", "os.environb"}
        or any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
            for node in ast.walk(module)
        )
    }
    assert readers == {str(Path("app", "settings.py"))}


@pytest.mark.control("modular-thin-routers")
def test_routers_import_no_client_library() -> None:
    for path, module in routers().items():
        names = imported(module)
        assert not {name.partition(".")[0] for name in names} & CLIENT_LIBRARIES, path
        assert not names & CLIENT_MODULES, path


@pytest.mark.control("modular-thin-routers")
def test_endpoints_are_short() -> None:
    found = [(path, each) for path, module in routers().items() for each in endpoints(module)]
    assert found
    for path, endpoint in found:
        statements = [node for node in ast.walk(endpoint) if isinstance(node, ast.stmt)][1:]
        documented = ast.get_docstring(endpoint) is not None
        assert len(statements) - documented <= MAX_STATEMENTS, f"{path}: {endpoint.name}"


@pytest.mark.control("modular-thin-routers")
def test_routes_are_declared_in_router_modules_only() -> None:
    declaring = {path for path, module in sources().items() if any(endpoints(module))}
    assert declaring <= set(routers())


@pytest.mark.control("dependency-injected-services")
def test_no_module_holds_a_session_a_client_or_a_service() -> None:
    """Made at import they would be everybody's, and no test could put another in their place."""
    assert [name for module in _modules() for name in _held(module)] == []


def _modules() -> Iterator[ModuleType]:
    found = [each.name for each in pkgutil.walk_packages(app.__path__, "app.")]
    names = [name for name in found if not name.endswith(".__main__")]
    assert len(names) > 10
    return map(importlib.import_module, names)


def _held(module: ModuleType) -> Iterator[str]:
    values: dict[str, object] = vars(module)
    for name, value in values.items():
        kind = type(value)
        is_service = kind.__module__.startswith("app.") and kind.__name__.endswith(("Service", "Repository", "Client"))
        if isinstance(value, RESOURCES) or is_service:
            yield f"{module.__name__}.{name}"
