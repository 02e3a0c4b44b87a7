"""The dashboard as a server, with everything off that lets others in or tells others anything."""

import socket
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st
from starlette.middleware import Middleware

from queuectl.dashboard.guard import TOKEN, Guard
from queuectl.dashboard.session import Shown, show
from queuectl.errors import QueuectlError

HERE: Final = Path(__file__).parent
SHELL: Final = HERE / "shell.py"
"""The script that Streamlit runs for every visitor."""

MIDDLEWARE: Final = [Middleware(Guard)]
"""What every request passes first."""

ADDRESS: Final = "127.0.0.1"


def link(port: int) -> str:
    """Return the address that lets a person in."""
    return f"http://{ADDRESS}:{port}/?token={TOKEN}"


def free_port(port: int) -> int:
    """Return ``port``, or any that is free if it is 0; raises QueuectlError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise QueuectlError(
                f"port {port} cannot be used: {error.strerror}", hint="name another with `--port`"
            ) from error
        found: int = probe.getsockname()[1]
        return found


def announce() -> None:
    """Print the link, for a server that somebody else starts."""
    sys.stderr.write(f"{link(st.get_option('server.port'))}\n")


def serve(shown: Shown, port: int) -> None:
    """Show a queue on a port of this machine, until a signal ends it."""
    show(shown)
    st.App(SHELL, middleware=MIDDLEWARE).run(config=_options() | {"server.port": port})


def _options() -> dict[str, Any]:
    """Return what stands in ``config.toml`` under the names that Streamlit gives to options."""
    with (HERE / "config.toml").open("rb") as file:
        return _flat(tomllib.load(file))


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found
