"""`queuectl metrics`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.options import checked
from queuectl.cli.output import print_json, print_table
from queuectl.cli.session import Db, Json, open_store
from queuectl.durations import format_duration
from queuectl.errors import UsageError
from queuectl.job import State
from queuectl.summary import Summary, summaries, summary_record
from queuectl.views import status_record


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "metrics", epilog="Examples:  queuectl metrics --since 24h    queuectl metrics --prometheus --output FILE.prom"
    )(metrics)


def metrics(
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only of the last so long.", show_default="all time")
    ] = None,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Print Prometheus's text format.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replace this file whole instead.", show_default=False)
    ] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Show by job how attempts ended, how long they took, and how long they had waited.

    The numbers stay when runs are purged. Percentiles are estimates from histograms.
    """
    if output is not None and not prometheus:
        raise UsageError("`--output` needs `--prometheus`")
    if prometheus and (since is not None or json):
        raise UsageError("`--prometheus` is of all time, and text: neither `--since` nor `--json` goes with it")
    if prometheus:
        _expose(db, output)
        return
    from datetime import timedelta

    from queuectl import rules

    now = clock.now()
    begin = None if since is None else now - timedelta(seconds=checked("--since", rules.duration, since))
    with open_store(db) as store, store.snapshot():
        found = summaries(store.metric_totals() if begin is None else store.metrics_since(begin))
        status = status_record(store)
    if json:
        print_json({"since": begin, "status": status, "jobs": [summary_record(each) for each in found]})
        return
    columns = ("JOB", "COMPLETED", "FAILED", "DEAD", "OTHER", "SKIPPED", "TOOK p50", "p95", "WAITED p50", "p95")
    print_table(columns, [_row(each) for each in found])


def _expose(db: Path | None, output: Path | None) -> None:
    from queuectl.exposition import exposition

    with open_store(db) as store:
        text = exposition(store, now=clock.now())
    if output is None:
        sys.stdout.write(text.decode())
        return
    from queuectl.atomic import replace_file

    replace_file(output, text)


def _row(summary: Summary) -> tuple[str, ...]:
    record = summary_record(summary)
    named = (State.COMPLETED, State.FAILED, State.DEAD)
    counts = [summary.attempts.get(state, 0) for state in named]
    counts.append(sum(count for state, count in summary.attempts.items() if state not in named))
    counts.append(summary.ended.get(State.SKIPPED, 0))
    times = (record[key] for key in ("seconds_p50", "seconds_p95", "waited_p50", "waited_p95"))
    return (
        summary.job or "(ad-hoc)",
        *(f"{count:,}" for count in counts),
        *("-" if seconds is None else _about(seconds) for seconds in times),
    )


def _about(seconds: float) -> str:
    """Return an estimate with no more digits than it is worth."""
    return format_duration(float(f"{seconds:.2g}"))
