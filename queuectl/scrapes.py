"""Metrics for whoever scrapes: a small web server in a thread beside the runner, which it never holds up.

Each scrape opens a connection of its own to the queue, reads, and closes it.
"""

import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from queuectl.errors import QueuectlError
from queuectl.exposition import registry_of
from queuectl.store import Store

_PATIENCE: Final = 10.0  # for a client that sends nothing
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]*):(\d{1,5})", re.ASCII)


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: stderr is the runner's."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a client that went away go."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def address(written: str) -> tuple[str, int]:
    """Return the host and the port of `host:port` or `[IPv6]:port`; raises ValueError."""
    found = _ADDRESS.fullmatch(written)
    if not found or not found[1] or int(found[2]) > 65535:
        raise ValueError(f"must be a host and a port, such as `127.0.0.1:9464`: `{written}`")
    return found[1].strip("[]"), int(found[2])


def serve(at: tuple[str, int], open_store: Callable[[], Store], clock: Callable[[], datetime]) -> int:
    """Serve the metrics of a queue until this process ends, and return the port.

    Raises QueuectlError if the address cannot be listened on.
    """
    host, port = at
    try:
        server = (_Server6 if ":" in host else _Server)((host, port), _Handler)
    except OSError as error:
        raise QueuectlError(
            f"cannot serve metrics at `{host}:{port}`: {error.strerror or error}",
            hint="does another runner serve them there already?",
        ) from error
    server.set_app(make_wsgi_app(registry_of(open_store, clock)))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port
