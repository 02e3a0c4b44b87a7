"""`queuectl simulate`: what the jobs of manifests would do in a time to come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from queuectl import clock
from queuectl.changes import Plan
from queuectl.cli.declare import Paths
from queuectl.cli.import_crontab import System, Zone
from queuectl.cli.options import checked
from queuectl.cli.output import note, print_json, stamp
from queuectl.cli.session import Db, Json, read_settings
from queuectl.errors import UsageError
from queuectl.forecast import Duration, percentile
from queuectl.settings import Settings

_SPAN: Final = timedelta(days=7)
_COMPARED: Final = timedelta(days=400)
_ASSUMED: Final = 60.0
_LINES: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    examples = "queuectl simulate manifests/ --workers 2    queuectl simulate nightly.toml --assume 10m --json"
    app.command("simulate", epilog=f"Examples:  {examples}")(simulate)


def simulate(
    paths: Paths,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="After this.", show_default="now")] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Up to this.", show_default="7 days later, 400 to compare"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, max=256, help="Attempts at a time.", show_default="4")
    ] = None,
    assume: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="How long attempts take of jobs without a history.", show_default="1m at most"
        ),
    ] = None,
    percent: Annotated[
        int, typer.Option("--percentile", metavar="N", min=1, max=100, help="Which of the past durations to expect.")
    ] = 50,
    crontab: Annotated[
        str | None,
        typer.Option("--compare-crontab", metavar="FILE", help="Only prove that the times are those of a crontab."),
    ] = None,
    system: System = False,
    timezone: Zone = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Foretell what the jobs would do: runs, waits, overlaps, skips; exit with 2 if one waits longer than `max_wait`.

    Durations come from the queue's history, which is read and left as it is.
    """
    from queuectl import rules
    from queuectl import simulate as engine
    from queuectl.cli.forecast_text import forecast_record, print_forecast
    from queuectl.manifest import load
    from queuectl.plan import plan
    from queuectl.slots import first_slot

    if crontab is not None:
        _compare(paths, crontab, start, until, system=system, timezone=timezone, json=json)
        return
    if system or timezone is not None:
        raise UsageError("`--system` and `--timezone` are about a crontab", hint="name it with `--compare-crontab`")
    begin, end = _span(start, until, _SPAN)
    assumed = None if assume is None else checked("--assume", rules.duration, assume)
    settings = read_settings(db)
    planned = plan(load(paths, defaults=settings.defaults), {}, {}, now=begin, first_slot=first_slot)
    forecast = engine.simulate(
        planned,
        _durations(planned, settings, assumed, percent),
        begin=begin,
        until=end,
        workers=workers or settings.workers,
        lines=None if json else _LINES,
    )
    if json:
        print_json(forecast_record(forecast))
    else:
        print_forecast(forecast, percent=percent)
    for job in forecast.too_slow:
        note(f"waits too long: {job.job}, {job.waits_too_long:,} of its runs longer than its `max_wait`")
    if forecast.too_slow:
        raise typer.Exit(2)


def _compare(
    paths: list[Path],
    crontab: str,
    start: str | None,
    until: str | None,
    *,
    system: bool,
    timezone: str | None,
    json: bool,
) -> None:
    """Print where manifests have other times than a crontab; exits with 2 if they do."""
    from queuectl.cli.compare_text import comparison_record, print_comparison
    from queuectl.cli.import_crontab import home_of, read_crontab, zone_of
    from queuectl.crontab_compare import compare
    from queuectl.crontab_manifest import cron_jobs
    from queuectl.manifest import load

    begin, end = _span(start, until, _COMPARED)
    manifests = load(paths, defaults=read_settings(None).defaults)
    crons = cron_jobs(read_crontab(crontab, system=system), zone=zone_of(timezone)[0], home=home_of)
    found = compare(crons, [job for manifest in manifests for job in manifest.jobs], begin=begin, until=end)
    if json:
        print_json(comparison_record(found, begin=begin, until=end))
    else:
        print_comparison(found, begin=begin, until=end)
    if found.discrepancies:
        raise typer.Exit(2)


def _span(start: str | None, until: str | None, usual: timedelta) -> tuple[datetime, datetime]:
    """Return the time that is meant: from now unless said otherwise, and as long as usual."""
    from queuectl.instants import parse_instant

    begin = clock.now() if start is None else checked("--from", lambda text: parse_instant(text, zone=None), start)
    end = begin + usual if until is None else checked("--until", lambda text: parse_instant(text, zone=None), until)
    if end <= begin:
        raise UsageError(f"`--until` is not after `--from`: {stamp(end)}, {stamp(begin)}")
    return begin, end


def _durations(planned: Plan, settings: Settings, assumed: float | None, percent: int) -> dict[str, Duration]:
    """Return how long an attempt of each job will take, from what earlier ones took where there were any."""
    from queuectl.store.untouched import past_seconds

    names = {
        change.job.full_name: [
            f"{change.job.manifest}/{name}" for name in (change.job.name, change.job.renamed_from) if name
        ]
        for change in planned.changes
    }
    past = past_seconds(settings.db, {name for known in names.values() for name in known})
    return {
        change.job.full_name: _duration(
            next((past[name] for name in names[change.job.full_name] if name in past), ()),
            change.job.spec.timeout,
            assumed,
            percent,
        )
        for change in planned.changes
    }


def _duration(past: Sequence[float], timeout: float | None, assumed: float | None, percent: int) -> Duration:
    if past:
        return Duration(seconds=percentile(sorted(past), percent), attempts=len(past))
    # What nobody said is no reason to foretell time-outs.
    usual = _ASSUMED if timeout is None else min(_ASSUMED, timeout)
    return Duration(seconds=usual if assumed is None else assumed)
