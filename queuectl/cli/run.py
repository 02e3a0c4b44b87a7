"""`queuectl run`."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated

import typer

from queuectl.cli.session import Db, read_settings, store_of
from queuectl.settings import Settings

WORKERS_HELP = "Attempts at a time."
Drain = Annotated[bool, typer.Option("--drain", help="Exit when nothing is due or to be retried.")]
Once = Annotated[bool, typer.Option("--once", help="Exit when nothing is due now.")]
DrainTimeout = Annotated[
    str | None,
    typer.Option(help="How long attempts may go on after SIGTERM.", metavar="DURATION", show_default="30s"),
]
NoSchedule = Annotated[bool, typer.Option("--no-schedule", help="Leave slots to other runners.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Examples:  queuectl run --workers 4    queuectl run --drain")(run)


def run(
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, max=256, help=WORKERS_HELP, show_default="4")
    ] = None,
    drain: Drain = False,
    once: Once = False,
    drain_timeout: DrainTimeout = None,
    no_schedule: NoSchedule = False,
    db: Db = None,
) -> None:
    """Claim due runs and execute them.

    Stays until SIGTERM or SIGINT; then running attempts finish. A second signal stops at once. With --drain or
    --once, exits with 1 if a run died.
    """
    settings = read_settings(db)
    work(
        settings,
        workers=workers,
        drain=drain,
        once=once,
        drain_timeout=patience_of(settings, drain_timeout),
        no_schedule=no_schedule,
    )


def patience_of(settings: Settings, written: str | None) -> float:
    """Return for how many seconds attempts may go on after a first signal."""
    from queuectl import rules
    from queuectl.cli.options import checked

    return settings.drain_timeout if written is None else checked("--drain-timeout", rules.duration, written)


def work(
    settings: Settings,
    *,
    workers: int | None,
    drain: bool,
    once: bool,
    drain_timeout: float,
    no_schedule: bool,
    announce: Callable[[int], None] = lambda _: None,
) -> None:
    """Be a runner until it is time to end; ``announce`` is told its number once it is up."""
    from queuectl.cli.progress import Lines, LiveView
    from queuectl.mainloop import MainLoop, Until

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
            drain_timeout=drain_timeout,
            has_schedule=not no_schedule,
            announce=announce,
        )
        until = Until.DRAINED if drain else Until.DONE if once else Until.STOPPED
        tally, stopped_by = loop.run(until)
    if stopped_by is not None:
        raise typer.Exit(128 + stopped_by)
    if until is not Until.STOPPED and tally.dead:
        raise typer.Exit(1)
