"""`queuectl dashboard`."""

import sys
from typing import Annotated

import typer

from queuectl.cli.output import note, say
from queuectl.cli.session import Db, read_settings
from queuectl.errors import QueuectlError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dashboard", epilog="Examples:  queuectl dashboard    queuectl dashboard --allow-actions")(dashboard)


def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes one that is free.")] = 8501,
    allow_actions: Annotated[
        bool, typer.Option("--allow-actions", help="Let runs be retried and cancelled, jobs triggered and paused.")
    ] = False,
    db: Db = None,
) -> None:
    """Show the queue in a browser on this machine, and print the link that lets you in.

    Stays until SIGINT or SIGTERM. Without --allow-actions the database is opened for reading only.
    """
    try:
        from queuectl.dashboard.launch import free_port, link, serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("queuectl"):
            raise
        raise QueuectlError(
            f"the dashboard is not installed: there is no `{error.name}`",
            hint="`pip install '.[dashboard]'` in a clone of queuectl",
        ) from None
    from queuectl.dashboard.session import Shown

    shown = Shown(read_settings(db), allows_actions=allow_actions)
    port = free_port(port)
    say(link(port))
    sys.stdout.flush()  # it may be a file that somebody waits to read it from
    note(f"{shown.settings.db}, {'with actions' if allow_actions else 'read-only'}; end it with Ctrl-C")
    serve(shown, port)
