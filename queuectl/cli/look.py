"""The verbs that only read: status, list, jobs, show, logs."""

from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.listing import print_jobs, print_runs
from queuectl.cli.output import ago, print_json, print_table, say, stamp
from queuectl.cli.selecting import OF_JOBS, All, none_like, selecting
from queuectl.cli.session import Db, Json, Limit, open_archive, open_store
from queuectl.errors import NotFound, UsageError
from queuectl.job import Run, State
from queuectl.selector import Selector
from queuectl.store import Store
from queuectl.views import job_record, status_record

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status", epilog="Examples:  queuectl status    queuectl status --json")(status)
    app.command("list", epilog="Examples:  queuectl list --state dead --since 2h    queuectl list --job 'nightly/*'")(
        selecting(list_runs, needs=False, without=("every",))
    )
    app.command("jobs", epilog="Examples:  queuectl jobs    queuectl jobs nightly --state dead --json")(
        selecting(jobs, needs=False, without=("every",), options=OF_JOBS)
    )
    app.command("show", epilog="Examples:  queuectl show r12    queuectl show --job nightly/backup --state dead")(
        selecting(show, needs=False, without=("every",))
    )
    app.command("logs", epilog="Examples:  queuectl logs r12    queuectl logs -f nightly/backup --stderr")(
        selecting(logs, needs=False, without=("every",))
    )


def status(db: Db = None, json: Json = False) -> None:
    """Show how many runs are in each state, what is due next, and which runners live."""
    now = clock.now()
    with open_store(db) as store, store.snapshot():
        record = status_record(store)
    if json:
        print_json(record)
        return
    print_table(("STATE", "RUNS"), [(state, f"{count:,}") for state, count in record["runs"].items()])
    say()
    next_due = record["next_due"]
    say(f"next due  {f'{stamp(next_due)} ({ago(next_due, now)})' if next_due else '-'}")
    if next_slot := record["next_slot"]:
        say(f"next slot {stamp(next_slot)} ({ago(next_slot, now)})")
    runners = record["runners"]
    say(f"runners   {', '.join(_runner(runner) for runner in runners) if runners else 'none'}")


def list_runs(selector: Selector, every: All = False, limit: Limit = None, db: Db = None, json: Json = False) -> None:
    """List runs, newest first: on a terminal the newest 50, elsewhere all, if nothing else is said."""
    with open_store(db) as store:
        print_runs(store, selector, limit=limit, every=every, json=json)


def jobs(selector: Selector, db: Db = None, json: Json = False) -> None:
    """List the declared jobs, each with its newest run."""
    with open_store(db) as store:
        found = store.jobs(selector)
    if json:
        print_json([job_record(stored) for stored in found])
    else:
        print_jobs(found)


def show(selector: Selector, db: Db = None, json: Json = False) -> None:
    """Show one run, or the newest that is selected: its spec, where it stands and why, and every attempt."""
    from queuectl.cli.run_text import print_run

    with open_archive(db) as store:
        print_run(store, _newest(store, selector), json=json)


def logs(
    selector: Selector,
    attempt: Annotated[
        int | None,
        typer.Option(min=1, help="Which attempt, with those of its number that were lost.", show_default="the last"),
    ] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="What it wrote to stderr instead of stdout.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Do not escape control characters on a terminal.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on while it is written, from attempt to attempt, to the end.")
    ] = False,
    db: Db = None,
) -> None:
    """Print what an attempt of a run wrote, or of the newest run that is selected, byte for byte.

    On a terminal control characters are shown escaped.
    """
    from queuectl.cli.logs import follow_run, print_output

    if follow and attempt is not None:
        raise UsageError("`--follow` goes from attempt to attempt: it does not go with `--attempt`")
    with open_store(db) as store:
        found = _newest(store, selector)
        stream = "stderr" if stderr else "stdout"
        if follow:
            follow_run(store, found, [stream], raw=raw)
        else:
            for execution in _executions(store, found, attempt):
                print_output(store, execution, stream, raw=raw)


def _newest(store: Store, selector: Selector) -> Run:
    """Return the run that is named, or the newest that is selected."""
    if len(selector.ids) > 1 or selector.is_everything:
        raise UsageError("name one run, or select the newest of some", hint="`queuectl list` shows the runs")
    runs = store.runs(selector, limit=1)
    if not runs:
        raise none_like(selector)
    return runs[0]


def _executions(store: Store, run: Run, number: int | None) -> list[str]:
    """Return the names of the executions that were attempt ``number``; that of the newest if there is no number.

    An attempt that was lost is not charged: the next one has its number.
    """
    found = [run.execution_of(each) for each in store.attempts(run) if number in (None, each.number)]
    if run.state is State.PROCESSING and number in (None, run.attempts):
        found.append(run.execution)
    if not found:
        which = f"attempt {number}" if number else "attempt yet"
        raise NotFound(f"run `{run.id}` has no {which}", hint=f"`queuectl show {run.id}`")
    return found if number else found[-1:]


def _runner(runner: dict[str, object]) -> str:
    alive = "" if runner["alive"] else ", dead"
    return f"{runner['id']} ({runner['host']}, pid {runner['pid']}, {runner['workers']} workers{alive})"
