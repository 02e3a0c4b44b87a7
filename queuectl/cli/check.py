"""`queuectl check`: for Nagios and its like, and for cron."""

from typing import Annotated

import typer

from queuectl import clock
from queuectl.alarms import Health, Level, Thresholds, health
from queuectl.cli.options import checked
from queuectl.cli.output import print_json, say
from queuectl.cli.session import Db, Json, read_settings
from queuectl.errors import DatabaseBusy, DatabaseUnavailable, QueuectlError, UsageError
from queuectl.store import Store
from queuectl.visible import visible

_MOST_SAID = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "check", epilog="Examples:  queuectl check --runner --max-dlq 0    queuectl check --warn-wait 1m --max-wait 10m"
    )(check)


def check(
    max_dlq: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Critical: more dead runs.", show_default=False)
    ] = None,
    warn_dlq: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Warning: more dead runs.", show_default=False)
    ] = None,
    max_wait: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Critical: a run is due for longer.", show_default=False)
    ] = None,
    warn_wait: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Warning: a run is due for longer.", show_default=False)
    ] = None,
    runner: Annotated[bool, typer.Option("--runner", help="Critical: no runner is alive.")] = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Tell whether the queue is well: exits with 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN), as Nagios has it.

    Always looked at: the jobs with `expect_success_within` and with `max_wait`. Reads only.
    """
    from queuectl import rules

    thresholds = Thresholds(
        warn_dlq=warn_dlq,
        max_dlq=max_dlq,
        warn_wait=None if warn_wait is None else checked("--warn-wait", rules.duration, warn_wait),
        max_wait=None if max_wait is None else checked("--max-wait", rules.duration, max_wait),
        needs_runner=runner,
    )
    _refuse_reversed("dlq", thresholds.warn_dlq, thresholds.max_dlq)
    _refuse_reversed("wait", thresholds.warn_wait, thresholds.max_wait)
    settings = read_settings(db)
    try:
        with Store(settings.db, read_only=True, busy_timeout=settings.busy_timeout) as store:
            found = health(store, thresholds, now=clock.now())
    except (DatabaseBusy, DatabaseUnavailable) as error:
        _unknown(error, json=json)
        raise typer.Exit(Level.UNKNOWN) from None
    if json:
        print_json(_record(found))
    else:
        _print(found, thresholds)
    raise typer.Exit(found.level)


def _refuse_reversed(what: str, warning: float | None, critical: float | None) -> None:
    if warning is not None and critical is not None and warning > critical:
        raise UsageError(f"`--warn-{what}` is more than `--max-{what}`: it would never be reached")


def _unknown(error: QueuectlError, *, json: bool) -> None:
    if json:
        alarm = {"subject": "queue", "level": Level.UNKNOWN.name, "fact": str(error)}
        print_json({"level": Level.UNKNOWN.name, "code": Level.UNKNOWN.value, "alarms": [alarm], "numbers": None})
        return
    say(f"QUEUECTL UNKNOWN - {_plain(str(error))}")
    if error.hint:
        say(_plain(error.hint))


def _print(found: Health, thresholds: Thresholds) -> None:
    """Print one line with all that matters and the numbers, then a line for everything that was looked at."""
    bad = [alarm for alarm in found.alarms if alarm.level]
    said = [f"{alarm.subject}: {alarm.fact}" for alarm in bad[:_MOST_SAID]]
    if len(bad) > _MOST_SAID:
        said.append(f"and {len(bad) - _MOST_SAID} more")
    summary = "; ".join(said) or f"{found.pending:,} waiting, {found.processing:,} running, {_runners(found.runners)}"
    say(f"QUEUECTL {found.level.name} - {_plain(summary)} | {_numbers(found, thresholds)}")
    for alarm in found.alarms:
        say(f"{alarm.level.name}  {_plain(alarm.subject)}: {_plain(alarm.fact)}")


def _runners(alive: int) -> str:
    return "no runner is alive" if not alive else "1 runner" if alive == 1 else f"{alive} runners"


def _numbers(found: Health, thresholds: Thresholds) -> str:
    """Return the performance data: label=value[unit];warning;critical;minimum."""
    limits = thresholds
    return (
        f"dlq={found.dlq};{_limit(limits.warn_dlq)};{_limit(limits.max_dlq)};0 "
        f"wait={found.wait:.3f}s;{_limit(limits.warn_wait)};{_limit(limits.max_wait)};0 "
        f"runners={found.runners};;{'1:' if limits.needs_runner else ''};0 "
        f"waiting={found.pending};;;0 processing={found.processing};;;0"
    )


def _limit(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}"


def _plain(text: str) -> str:
    """Return text that neither a terminal nor Nagios, to which a bar begins the numbers, takes for anything else."""
    return visible(text).replace("|", "¦")


def _record(found: Health) -> dict[str, object]:
    return {
        "level": found.level.name,
        "code": found.level.value,
        "alarms": [{"subject": each.subject, "level": each.level.name, "fact": each.fact} for each in found.alarms],
        "numbers": {
            "dlq": found.dlq,
            "wait_seconds": found.wait,
            "runners": found.runners,
            "waiting": found.pending,
            "processing": found.processing,
        },
    }
