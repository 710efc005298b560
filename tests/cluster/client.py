"""Who uses the deployed service: an account, and load from inside the cluster's network.

Owns how a test reaches the service: its ClusterIP, from the network of the node, where neither a port forward nor a
proxy stands between.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.kubectl import Kubectl
from tests.cluster.node import Node

LOAD = Path(__file__).parent / "load.py"
SKU = "MUG-1"
PASSWORD = "correct horse battery staple"
GETS = 9
"""Of ten requests; the tenth is a POST."""
CLIENTS = 48
"""So many that each connection has nothing to do for most of the time: an idle one is what a stopping server cuts."""
PSQL = ("exec", "orders-database-0", "--", "psql", "--username=orders", "--tuples-only", "--no-align", "--command")
PATIENCE_SECONDS = 300
"""Longest that anything takes on a machine that does other things too."""
QUESTION = '/v1/assistant/replies {"messages":[{"role":"user","content":"Where is my order?"}]}'


def until(done: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until something is so, and return how many seconds that took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.2)
    return time.monotonic() - began


@dataclass
class Load:
    """Requests that were sent, and what became of them; the figures are there when they have ended."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def failures(self) -> list[str]:
        """Each request that got no 2xx, or no answer."""
        return self.figures["failures"]

    @property
    def outcomes(self) -> set[str]:
        """What came instead of a 2xx: a status, or the name of an error."""
        return {each.split()[2] for each in self.failures}

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.figures["requests"]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.figures["seconds"]

    def __str__(self) -> str:
        """Say in one line what became of it."""
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.figures["answered"].items()))
        slow = f"p99 {self.figures['p99_seconds']} s, slowest {self.figures['slowest_seconds']} s"
        return f"{self.name}: {told} in {self.seconds} s; {slow}"


@dataclass(frozen=True, slots=True)
class Client:
    """The service as the inside of the cluster sees it."""

    node: Node
    kubectl: Kubectl

    @property
    def address(self) -> str:
        """ADDRESS:PORT of the Service."""
        spec = self.kubectl.get("service", "orders")["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def ask(self, path: str, body: Any = None, token: str = "", address: str = "") -> Any:
        """Return the answer to one request, of any pod or of one at an address; raises where it is no 2xx."""
        headers = ("--header", "Host: orders.orders", "--header", f"Authorization: Bearer {token}")
        sent = () if body is None else ("--header", "Content-Type: application/json", "--data", json.dumps(body))
        url = f"http://{address or self.address}{path}"
        command = (*self.node.enter_network(), "curl", "--silent", "--show-error", "--fail-with-body", *headers, *sent)
        done = subprocess.run((*command, url), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{path}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    def serves(self) -> bool:
        """Whether the service answers, and its database with it."""
        return self.ask("/healthz/ready") == {"status": "ok"}

    def sign_in(self, email: str) -> str:
        """Open an account, and return an access token of it."""
        self.ask("/v1/auth/register", {"email": email, "password": PASSWORD})
        return self.ask("/v1/auth/token", {"email": email, "password": PASSWORD})["access_token"]

    def store_product(self) -> None:
        """Store the product that the load orders."""
        self.psql(
            f"INSERT INTO products (id, sku, name, price_cents) VALUES (gen_random_uuid(), '{SKU}', 'Mug', 900) "
            "ON CONFLICT DO NOTHING"
        )

    def psql(self, statement: str) -> str:
        """Run a statement in the database's pod."""
        return self.kubectl(*PSQL, statement).strip()

    @contextmanager
    def holding(self, lock: str) -> Generator[None]:
        """Keep a transaction open that has run a statement, such as one that takes a lock."""
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        statement = f"BEGIN; {lock}; SELECT pg_sleep(600)"
        with ThreadPoolExecutor(1) as other:
            held = other.submit(self.kubectl, *PSQL, statement, check=False, timeout=660)
            try:
                until(lambda: self.psql(waits) or held.done(), f"the lock of {lock}")
                assert not held.done(), held.result()
                yield
            finally:
                self.psql(f"SELECT pg_terminate_backend(pid) FROM ({waits}) held")

    def pods(self) -> set[str]:
        """Return the names of the service's pods that are not on their way out."""
        pods = self.kubectl.get("pods", "--selector", "app.kubernetes.io/component=api")["items"]
        return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}

    @contextmanager
    def load(self, token: str, *, rate: float, keep_alive: bool, streams: int = 0) -> Generator[Load]:
        """Ask all the time, at `rate` requests a second, on connections that are kept or on a new one each time.

        Beside it so many clients read one answer of the assistant after the other.
        """
        order = json.dumps({"sku": SKU, "quantity": 1})
        command = [*self.node.enter_network(), sys.executable, str(LOAD), self.address, "--token", token]
        command += ["--rate", str(rate), "--clients", str(CLIENTS), "--get", f"/v1/products/{SKU}", "--gets", str(GETS)]
        command += ["--post", f"/v1/orders {order}", "--stream", QUESTION, "--streams", str(streams)]
        command += ["--keep-alive"] if keep_alive else []
        load = Load("connections kept" if keep_alive else "a connection for each request")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            try:
                yield load
            finally:
                running.send_signal(signal.SIGTERM)
                try:
                    load.figures = json.loads(running.communicate(timeout=90)[0])
                finally:
                    running.kill()
