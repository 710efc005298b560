"""Servers that a stack relies on and does not bring: a Redis, and a PgBouncer before the stack's Postgres.

Owns their objects, restricted as the stack's namespace wants it, of Debian's programs in the image of its Postgres.
"""

import base64

from tests.cluster.kubectl import Kubectl, Object

IMAGE = "postgres:17"
REDIS = "orders-redis"
REDIS_PORT = 6379
PGBOUNCER = "orders-pooler"
PGBOUNCER_PORT = 6432
LABEL = "app.kubernetes.io/instance"
SETTINGS = "/etc/servers"
PGBOUNCER_INI = f"""[databases]
* = host=orders-database port=5432
[pgbouncer]
listen_addr = *
listen_port = {PGBOUNCER_PORT}
unix_socket_dir =
auth_type = plain
auth_file = {SETTINGS}/users
pool_mode = transaction
default_pool_size = 10
max_client_conn = 500
server_login_retry = 2
dns_max_ttl = 2
dns_nxdomain_ttl = 2
"""
"""With PgBouncer's defaults a Postgres that comes back at another address is found 15 seconds later."""


def redis() -> list[Object]:
    """Return a Redis that keeps nothing, and the Secret with its `address`."""
    options = ("--port", str(REDIS_PORT), "--bind", "*", "--protected-mode", "no", "--save", "", "--dir", "/tmp")
    return _server(REDIS, REDIS_PORT, ("redis-server", *options), {"address": f"redis://{REDIS}:{REDIS_PORT}/0"})


def pgbouncer(password: str) -> list[Object]:
    """Return a PgBouncer in transaction mode, and the Secret with the `address` that leads through it."""
    address = f"postgresql://orders:{password}@{PGBOUNCER}:{PGBOUNCER_PORT}/orders"
    files = {"ini": PGBOUNCER_INI, "users": f'"orders" "{password}"\n', "address": address}
    return _server(PGBOUNCER, PGBOUNCER_PORT, ("pgbouncer", f"{SETTINGS}/ini"), files)


def egress(name: str, port: int) -> list[Object]:
    """Return the setting of a service that may reach one of them."""
    return [{"peer": {"pod_labels": {LABEL: name}}, "ports": [port]}]


def password(kubectl: Kubectl) -> str:
    """Return the one of the stack's Postgres."""
    return base64.b64decode(kubectl.get("secret", "orders-database")["data"]["password"]).decode()


def _server(name: str, port: int, command: tuple[str, ...], files: dict[str, str]) -> list[Object]:
    metadata, labels = {"name": name}, {LABEL: name}
    container: Object = {
        "name": "server",
        "image": IMAGE,
        "command": list(command),
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "settings", "mountPath": SETTINGS}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod: Object = {
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "settings", "secret": {"secretName": name}}, {"name": "tmp", "emptyDir": {}}],
    }
    service = {"ports": [{"port": port}], "selector": labels}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {**deployment, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
    ]
