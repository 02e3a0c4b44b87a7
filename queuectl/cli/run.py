"""`queuectl run`."""

import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from queuectl.cli.session import Db, read_settings, store_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Examples:  queuectl run --workers 4    queuectl run --drain")(run)


def run(
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, max=256, help="Attempts at a time.", show_default="4"),
    ] = None,
    drain: Annotated[bool, typer.Option("--drain", help="Exit when nothing is due or to be retried.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Exit when nothing is due now.")] = False,
    drain_timeout: Annotated[
        str | None,
        typer.Option(help="How long attempts may go on after SIGTERM.", metavar="DURATION", show_default="30s"),
    ] = None,
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Leave slots to other runners.")] = False,
    db: Db = None,
) -> None:
    """Claim due runs and execute them.

    Stays until SIGTERM or SIGINT; then running attempts finish. A second signal stops at once. With --drain or
    --once, exits with 1 if a run died.
    """
    from queuectl import rules
    from queuectl.cli.options import checked
    from queuectl.cli.progress import Lines, LiveView
    from queuectl.mainloop import MainLoop, Until

    settings = read_settings(db)
    patience = (
        settings.drain_timeout if drain_timeout is None else checked("--drain-timeout", rules.duration, drain_timeout)
    )
    audience = LiveView() if sys.stdout.isatty() else Lines()
    with (
        store_of(settings, create=True) as store,
        audience if isinstance(audience, LiveView) else nullcontext(),
    ):
        loop = MainLoop(
            store,
            audience,
            workers=workers or settings.workers,
            output_limit=settings.output_limit,
            drain_timeout=patience,
            has_schedule=not no_schedule,
        )
        until = Until.DRAINED if drain else Until.DONE if once else Until.STOPPED
        tally, stopped_by = loop.run(until)
    if stopped_by is not None:
        raise typer.Exit(128 + stopped_by)
    if until is not Until.STOPPED and tally.dead:
        raise typer.Exit(1)
