"""The dead letter queue: the runs that wait for a person."""

from typing import Annotated

import typer

from queuectl import clock
from queuectl.cli.group import Group
from queuectl.cli.look import RunId, print_run
from queuectl.cli.output import ago, note, print_json, print_table
from queuectl.cli.session import Db, Json, open_store, spool_of
from queuectl.errors import QueuectlError, UsageError
from queuectl.job import Run, State
from queuectl.lifecycle import requeue
from queuectl.output import remove_output
from queuectl.spool import STREAMS, wake_runners
from queuectl.store import RunFilter, Store
from queuectl.views import run_record, run_title

Runs = Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="The ids of dead runs.")]
All = Annotated[bool, typer.Option("--all", help="Every dead run.")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    dlq = typer.Typer(cls=Group, rich_markup_mode=None, help="The dead letter queue: runs in state dead.")
    dlq.command("list", epilog="Examples:  queuectl dlq list    queuectl dlq list --json")(list_dead)
    dlq.command("show", epilog="Examples:  queuectl dlq show r12    queuectl dlq show r12 --json")(show_dead)
    dlq.command("retry", epilog="Examples:  queuectl dlq retry r12    queuectl dlq retry --all")(retry)
    dlq.command("purge", epilog="Examples:  queuectl dlq purge r12    queuectl dlq purge --all --yes")(purge)
    app.add_typer(dlq, name="dlq")


def list_dead(db: Db = None, json: Json = False) -> None:
    """List the dead runs, newest first."""
    with open_store(db) as store:
        runs = store.runs(RunFilter(state=State.DEAD))
    if json:
        print_json([run_record(run) for run in runs])
        return
    now = clock.now()
    print_table(
        ("ID", "JOB OR COMMAND", "ATTEMPTS", "DIED", "REASON"),
        [
            (
                run.id,
                run_title(run),
                f"{run.attempts}/{run.max_attempts}",
                ago(run.updated_at, now),
                run.reason or "",
            )
            for run in runs
        ],
    )


def show_dead(run: RunId, db: Db = None, json: Json = False) -> None:
    """Show one dead run: its spec, why it died, and every attempt."""
    with open_store(db) as store:
        [found] = _dead(store, [run])
        print_run(store, found, json=json)


def retry(runs: Runs = None, every: All = False, db: Db = None) -> None:
    """Put dead runs back into the queue, with all their attempts before them."""
    from queuectl.author import person

    now, by = clock.now(), person()
    with open_store(db) as store:
        with store.transaction():
            found = _chosen(store, runs, every=every)
            for run in found:
                store.change(run, requeue(run, run.spec, now=now), by=by)
        wake_runners(spool_of(store))
    note(_counted(found, "back in the queue"))


def purge(
    runs: Runs = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    db: Db = None,
) -> None:
    """Delete dead runs for good, with the record of their attempts."""
    with open_store(db) as store:
        found = _chosen(store, runs, every=every)
        if found and not yes:
            _confirm(f"delete {len(found)} dead {'run' if len(found) == 1 else 'runs'} for good?")
        executions = {run.number: [run.execution_of(each) for each in store.attempts(run)] for run in found}
        gone = store.purge(found)
        spool = spool_of(store)
        for execution in (execution for run in gone for execution in executions[run.number]):
            for stream in STREAMS:
                remove_output(spool.output(execution, stream))
    note(_counted(gone, "deleted"))


def _chosen(store: Store, runs: list[str] | None, *, every: bool) -> list[Run]:
    if every == bool(runs):
        raise UsageError("name runs, or all of them with `--all`", hint="`queuectl dlq list` shows the dead runs")
    return store.runs(RunFilter(state=State.DEAD)) if every else _dead(store, runs or [])


def _dead(store: Store, ids: list[str]) -> list[Run]:
    found = [store.run(run) for run in dict.fromkeys(ids)]
    alive = [run for run in found if run.state is not State.DEAD]
    if alive:
        names = ", ".join(f"`{run.id}` is {run.state}" for run in alive)
        raise QueuectlError(f"not in the dead letter queue: {names}")
    return found


def _confirm(question: str) -> None:
    import sys

    if not sys.stdin.isatty():
        raise UsageError(f"not done without asking: {question}", hint="say `--yes`")
    if not typer.confirm(question, err=True):
        raise typer.Abort


def _counted(runs: list[Run], what: str) -> str:
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} {what}"
