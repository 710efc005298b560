"""Who uses the deployed service: an account, and load from inside the cluster's network.

Owns how a test reaches the service: its ClusterIP, from the network of the node, where neither a port forward nor a
proxy stands between.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.deploy import Kubectl
from tests.cluster.node import Node

LOAD = Path(__file__).parent / "load.py"
SKU = "MUG-1"
PASSWORD = "correct horse battery staple"


@dataclass
class Load:
    """Two kinds of clients at once, those that keep their connections and those that open one for each request."""

    kept: dict[str, Any] = field(default_factory=dict[str, Any])
    closed: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def failures(self) -> list[str]:
        """What was no 2xx, of both."""
        return [*self.kept["failures"], *self.closed["failures"]]

    def __str__(self) -> str:
        """Say in one line what became of it."""
        told = [f"{name}: {each['answered']} in {each['seconds']} s, slowest {each['slowest_seconds']} s"
                for name, each in (("kept", self.kept), ("closed", self.closed))]  # fmt: skip
        return "; ".join(told)


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

    def ask(self, path: str, body: Any = None, token: str = "") -> Any:
        """Return the answer to one request; raises where it is no 2xx."""
        headers = ("--header", "Host: orders.orders", "--header", f"Authorization: Bearer {token}")
        sent = () if body is None else ("--header", "Content-Type: application/json", "--data", json.dumps(body))
        url = f"http://{self.address}{path}"
        command = (*self.node.enter_network(), "curl", "--silent", "--show-error", "--fail-with-body", *headers, *sent)
        done = subprocess.run((*command, url), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{path}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    def sign_in(self, email: str) -> str:
        """Open an account, and return an access token of it."""
        self.ask("/v1/auth/register", {"email": email, "password": PASSWORD})
        return self.ask("/v1/auth/token", {"email": email, "password": PASSWORD})["access_token"]

    def store_product(self) -> None:
        """Store the product that the load orders."""
        statement = (
            "INSERT INTO products (id, sku, name, price_cents) VALUES (gen_random_uuid(), 'MUG-1', 'Mug', 900) "
            "ON CONFLICT DO NOTHING"
        )
        self.psql(statement)

    def psql(self, statement: str) -> str:
        """Run a statement in the database's pod."""
        command = ("psql", "--username", "orders", "--dbname", "orders", "--tuples-only", "--no-align")
        return self.kubectl("exec", "orders-database-0", "--", *command, "--command", statement).strip()

    @contextmanager
    def load(self, token: str, *, rate: float, clients: int = 16) -> Generator[Load]:
        """Ask all the time, at `rate` requests a second for each kind of client; the figures are there afterwards."""
        order = json.dumps({"sku": SKU, "quantity": 1})
        options = ("--token", token, "--rate", str(rate), "--clients", str(clients), "--post", f"/v1/orders {order}")
        paths = (f"/v1/products/{SKU}", "/v1/products", "/v1/orders", "/v1/auth/me")
        gets = [word for path in paths for word in ("--get", path)]
        command = (*self.node.enter_network(), sys.executable, str(LOAD), self.address, *options, *gets)
        result = Load()
        running = [_start([*command, "--keep-alive"]), _start(command)]
        try:
            yield result
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            result.kept, result.closed = (json.loads(process.communicate(timeout=90)[0]) for process in running)


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
