"""What a scrape shows, and where it is answered."""

import asyncio
import json
import socket
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from app.database import open_database
from app.exports.outbox import Backlog, Outbox
from app.main import create_app
from app.metrics import Metrics, MetricsPortError, open_metrics
from app.pace import PACE
from app.work_metrics import count_work
from development.services import free_port
from tests.support import serve, valid_settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(port: int) -> Samples:
    """Return the samples by name and labels."""
    async with httpx.AsyncClient() as client:
        response = await client.get(f"http://127.0.0.1:{port}/metrics")
    families = text_string_to_metric_families(response.raise_for_status().text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for each in families for sample in each.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return how a sample is found."""
    return name, frozenset(labels.items())


def busy_app(port: int, **settings: object) -> FastAPI:
    """Return an application with a slow and a broken route, whose metrics are on a port."""
    app = create_app(valid_settings(metrics_port=port, **settings))

    @app.get("/v1/slow/{name}")
    async def slow(name: str) -> str:  # pyright: ignore[reportUnusedFunction]
        await asyncio.sleep(0.12)
        return name

    @app.get("/v1/broken")
    async def broken() -> None:  # pyright: ignore[reportUnusedFunction]
        raise LookupError

    return app


@pytest.mark.parametrize(("stated", "reached"), [({}, False), ({"metrics_host": "0.0.0.0"}, True)])
async def test_on_a_developers_machine_metrics_are_on_loopback_unless_told(
    stated: dict[str, object], reached: bool
) -> None:
    port = free_port()
    async with open_metrics(valid_settings(metrics_port=port, **stated)):
        assert await scrape(port)
        with socket.socket() as other:
            # Another address of this machine than the one of loopback.
            assert (other.connect_ex(("127.0.0.2", port)) == 0) is reached


@pytest.mark.control("prometheus-metrics")
async def test_a_scrape_shows_traffic_latency_and_errors_under_few_labels() -> None:
    port = free_port()
    async with serve(busy_app(port)) as client:
        for path in (
            "/v1/slow/a",
            "/v1/slow/b",
            "/v1/broken",
            "/v1/orders/x",
            "/v1/nothing",
            "/no/such",
            "/healthz/no-probe",
            "/healthz/live",
        ):
            await client.get(path)
        await client.request("BREW", "/v1/slow/a")
        shown = await scrape(port)
    requests = {labels: value for (name, labels), value in shown.items() if name == "http_requests_total"}
    assert requests == {
        key("", method="GET", route="/v1/slow/{name}", status_class="2xx")[1]: 2,
        key("", method="GET", route="/v1/broken", status_class="5xx")[1]: 1,
        key("", method="GET", route="/v1/orders/{order_id}", status_class="4xx")[1]: 1,
        key("", method="GET", route="unmatched", status_class="4xx")[1]: 3,
        key("", method="OTHER", route="/v1/slow/{name}", status_class="4xx")[1]: 1,
    }
    slow = {"method": "GET", "route": "/v1/slow/{name}"}
    assert shown[key("http_request_duration_seconds_bucket", le="0.1", **slow)] == 0
    assert shown[key("http_request_duration_seconds_bucket", le="+Inf", **slow)] == 2
    assert shown[key("http_request_duration_seconds_sum", **slow)] > 0.2
    assert shown[key("unhandled_exceptions_total", type="LookupError")] == 1
    assert shown[key("http_requests_in_progress")] == 0
    assert shown[key("process_resident_memory_bytes")] > 1e6


@pytest.mark.control("prometheus-metrics")
async def test_requests_in_progress_are_counted_while_they_are() -> None:
    port = free_port()
    async with serve(busy_app(port)) as client:
        waiting = asyncio.create_task(client.get("/v1/slow/a"))
        async with asyncio.timeout(5):
            while (await scrape(port))[key("http_requests_in_progress")] != 1:
                assert not waiting.done()
        await waiting
        assert (await scrape(port))[key("http_requests_in_progress")] == 0


@pytest.mark.control("prometheus-metrics")
async def test_a_broken_dependency_is_told_from_one_that_works() -> None:
    port = free_port()
    async with serve(busy_app(port, redis_url="redis://127.0.0.1:1/0")):
        shown = await scrape(port)
    up = {dict(labels)["dependency"]: value for (name, labels), value in shown.items() if name == "dependency_up"}
    assert up == {"database": 0, "redis": 0, "scratch": 1}


@pytest.mark.services
@pytest.mark.control("prometheus-metrics")
async def test_the_pool_is_seen_at_work(empty_database_url: str) -> None:
    port = free_port()
    # With a Redis, so that no job of the process takes a connection as well.
    app = busy_app(
        port,
        database_url=empty_database_url,
        database_pool_size=1,
        database_pool_overflow=1,
        redis_url="redis://127.0.0.1:1/0",
    )
    async with app.router.lifespan_context(app) as state:
        assert state
        engine = state["database"].engine
        async with engine.connect(), engine.connect():
            shown = await scrape(port)
    assert shown[key("dependency_up", dependency="database")] in (0, 1)
    pool = {name: shown[key(f"db_pool_{name}")] for name in ("size", "checked_out", "overflow")}
    assert pool == {"size": 1, "checked_out": 2, "overflow": 1}


@pytest.mark.control("prometheus-metrics")
async def test_a_figure_of_another_module_is_read_at_each_scrape_and_its_failure_hides_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    depth = 3.0

    async def waiting() -> float:
        return depth

    def broken() -> float:
        raise ValueError("hunter2")

    create_app(valid_settings())
    async with open_metrics(valid_settings(metrics_port=port)) as metrics:
        readings: dict[str, Callable[[], object]] = {"queue_depth": waiting, "broken": broken, "callers": lambda: 2}
        for name, read in readings.items():
            metrics.gauge(name, "A figure", read)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        first = await scrape(port)
        depth = 4.0
        second = await scrape(port)
    assert [each[key("queue_depth")] for each in (first, second)] == [3, 4]
    assert (first[key("callers")], key("broken") in first) == (2, False)
    (line, _) = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert line == "metric broken cannot be read: ValueError"


@pytest.mark.parametrize("broken", [False, True])
async def test_a_scrape_asks_for_the_backlog_once(broken: bool) -> None:
    port, asked = free_port(), 0

    class CountedOutbox(Outbox):
        async def backlog(self) -> Backlog:
            nonlocal asked
            asked += 1
            if broken:
                raise ConnectionError
            return Backlog(3, 1, 90.5)

    settings = valid_settings(metrics_port=port)
    async with open_database(settings.database) as database, open_metrics(settings) as metrics:
        count_work(metrics, CountedOutbox(database, PACE))
        seen = await scrape(port)
    names = ("jobs_queued", "jobs_running", "jobs_oldest_waiting_seconds")
    assert [seen.get(key(name)) for name in names] == ([None] * 3 if broken else [3, 1, 90.5])
    assert asked == 1


async def test_the_public_port_has_no_metrics() -> None:
    async with serve(create_app(valid_settings(metrics_port=free_port()))) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_each_application_counts_for_itself_and_its_port_closes_with_it() -> None:
    ports = free_port(), free_port()
    async with serve(busy_app(ports[0])) as client, serve(busy_app(ports[1])):
        await client.get("/v1/broken")
        first, second = [await scrape(port) for port in ports]
    broken = key("http_requests_total", method="GET", route="/v1/broken", status_class="5xx")
    assert (first[broken], broken in second) == (1, False)
    with pytest.raises(httpx.ConnectError):
        await scrape(ports[0])


async def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MetricsPortError, match=f"METRICS_PORT {port}: Address already in use"):
            async with open_metrics(valid_settings(metrics_port=port)):
                pass


async def test_without_a_port_nothing_listens_and_all_counts() -> None:
    async with open_metrics(valid_settings()) as metrics:
        assert isinstance(metrics, Metrics)
        metrics.request_began()
        assert metrics.registry.get_sample_value("http_requests_in_progress") == 1
