"""The verbs that only read: status, list, jobs, show, logs."""

from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.listing import print_runs
from queuectl.cli.output import ago, print_json, print_table, say, stamp
from queuectl.cli.selecting import All, selecting
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
    app.command("jobs", epilog="Examples:  queuectl jobs    queuectl jobs --manifest nightly --json")(jobs)
    app.command("show", epilog="Examples:  queuectl show r12    queuectl show --job nightly/backup --state dead")(
        selecting(show, needs=False, without=("every",))
    )
    app.command("logs", epilog="Examples:  queuectl logs r12    queuectl logs -f nightly/backup --stderr")(logs)


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


def jobs(
    manifest: Annotated[str | None, typer.Option(help="Only jobs of this manifest.")] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """List the declared jobs, each with its newest run."""
    with open_store(db) as store:
        found = [stored for stored in store.jobs() if manifest in (None, stored.job.manifest)]
    if json:
        print_json([job_record(stored) for stored in found])
        return
    now = clock.now()
    print_table(
        ("JOB", "LATEST RUN", "STATE", "UPDATED", "NEXT SLOT", "DESCRIPTION"),
        [
            (
                stored.job.full_name,
                stored.latest.id if stored.latest else "-",
                (stored.latest.state if stored.latest else "-") if stored.job.enabled else "disabled",
                ago(stored.latest.updated_at, now) if stored.latest else "-",
                ago(stored.next_slot, now) if stored.next_slot else "-",
                stored.job.spec.description,
            )
            for stored in found
        ],
    )


def show(selector: Selector, db: Db = None, json: Json = False) -> None:
    """Show one run, or the newest that is selected: its spec, where it stands and why, and every attempt."""
    if len(selector.ids) > 1 or selector.is_everything:
        raise UsageError("name one run, or select the newest of some", hint="`queuectl list` shows the runs")
    from queuectl.cli.run_text import print_run

    with open_archive(db) as store:
        runs = store.runs(selector, limit=1)
        if not runs:
            raise NotFound(f"no run is like that: `{selector}`", hint="`queuectl list` shows the runs")
        print_run(store, runs[0], json=json)


def logs(
    run: Annotated[str, typer.Argument(metavar="RUN|JOB", help="A run, or the newest run of MANIFEST/JOB.")],
    attempt: Annotated[int | None, typer.Option(min=1, help="Which attempt.", show_default="the last")] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="What it wrote to stderr instead of stdout.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Do not escape control characters on a terminal.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on while it is written, from attempt to attempt, to the end.")
    ] = False,
    db: Db = None,
) -> None:
    """Print what an attempt wrote, byte for byte; on a terminal control characters are shown escaped."""
    from queuectl.cli.logs import follow_run, print_output

    if follow and attempt is not None:
        raise UsageError("`--follow` goes from attempt to attempt: it does not go with `--attempt`")
    with open_store(db) as store:
        found = _run_or_newest_of_job(store, run)
        stream = "stderr" if stderr else "stdout"
        if follow:
            follow_run(store, found, [stream], raw=raw)
        else:
            print_output(store, _execution(store, found, attempt), stream, raw=raw)


def _run_or_newest_of_job(store: Store, name: str) -> Run:
    if "/" not in name:
        return store.run(name)
    runs = store.runs(Selector(jobs=(name,)), limit=1)
    if not runs:
        raise NotFound(f"job `{name}` has no run yet", hint="`queuectl jobs` shows the jobs")
    return runs[0]


def _execution(store: Store, run: Run, number: int | None) -> str:
    """Return the name of the execution that was attempt ``number``; the newest if there is no number."""
    if run.state is State.PROCESSING and number in (None, run.attempts):
        return run.execution
    ended = [attempt for attempt in store.attempts(run) if number in (None, attempt.number)]
    if not ended:
        which = f"attempt {number}" if number else "attempt yet"
        raise NotFound(f"run `{run.id}` has no {which}", hint=f"`queuectl show {run.id}`")
    return run.execution_of(ended[-1])


def _runner(runner: dict[str, object]) -> str:
    alive = "" if runner["alive"] else ", dead"
    return f"{runner['id']} ({runner['host']}, pid {runner['pid']}, {runner['workers']} workers{alive})"
