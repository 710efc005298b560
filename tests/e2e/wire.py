"""The way to an API server, which a test can cut in the middle of a deploy."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Wire:
    """Passes connections on to the server of a kubeconfig while it is whole."""

    def __init__(self, kubeconfig: Path, copy: Path) -> None:
        """Listen, and write a copy of the kubeconfig that leads here."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        server = urlsplit(str(cluster["server"]))
        self._target = (server.hostname or "", server.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._whole = True
        port = self._listener.getsockname()[1]
        cluster |= {"server": f"https://127.0.0.1:{port}", "tls-server-name": self._target[0]}
        self.kubeconfig = copy
        """The one that leads here."""
        copy.touch(mode=0o600)
        copy.write_text(yaml.safe_dump(config))
        self._start(self._accept)

    def cut(self) -> None:
        """End every connection and take no more."""
        self._whole = False
        for each in list(self._open):
            _end(each)

    def mend(self) -> None:
        """Take connections again."""
        self._whole = True

    def close(self) -> None:
        """Listen no more."""
        self.cut()
        _end(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            _end(near)
            return
        self._open |= {near, far}
        if not self._whole:
            self.cut()
        self._start(self._copy, near, far)
        self._start(self._copy, far, near)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
        for each in (source, target):
            _end(each)
            self._open.discard(each)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=run, args=arguments, daemon=True).start()


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
