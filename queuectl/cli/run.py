"""`queuectl run`."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.output import note
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
MetricsListen = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Serve metrics for Prometheus here.", show_default=False)
]


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
    metrics_listen: MetricsListen = None,
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
        metrics_at=address_of(metrics_listen),
    )


def patience_of(settings: Settings, written: str | None) -> float:
    """Return for how many seconds attempts may go on after a first signal."""
    from queuectl import rules
    from queuectl.cli.options import checked

    return settings.drain_timeout if written is None else checked("--drain-timeout", rules.duration, written)


def address_of(written: str | None) -> tuple[str, int] | None:
    """Return the host and port where metrics are to be served."""
    if written is None:
        return None
    from queuectl.cli.options import checked
    from queuectl.scrapes import address

    return checked("--metrics-listen", address, written)


def work(
    settings: Settings,
    *,
    workers: int | None,
    drain: bool,
    once: bool,
    drain_timeout: float,
    no_schedule: bool,
    metrics_at: tuple[str, int] | None = None,
    announce: Callable[[int], None] = lambda _: None,
) -> None:
    """Be a runner until it is time to end; ``announce`` is told its number once it is up."""
    from queuectl.cli.progress import Lines, LiveView
    from queuectl.mainloop import MainLoop, Until
    from queuectl.retention import retention_of

    if metrics_at is not None:
        _serve_metrics(metrics_at, settings)
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
            retention=retention_of(settings.retention),
            announce=announce,
        )
        until = Until.DRAINED if drain else Until.DONE if once else Until.STOPPED
        tally, stopped_by = loop.run(until)
    if stopped_by is not None:
        raise typer.Exit(128 + stopped_by)
    if until is not Until.STOPPED and tally.dead:
        raise typer.Exit(1)


def _serve_metrics(at: tuple[str, int], settings: Settings) -> None:
    from queuectl.scrapes import serve

    port = serve(at, lambda: store_of(settings), clock.now)
    host = f"[{at[0]}]" if ":" in at[0] else at[0]
    note(f"metrics: http://{host}:{port}/metrics")
