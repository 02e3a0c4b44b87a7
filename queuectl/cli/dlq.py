"""The dead letter queue: the runs that wait for a person."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from queuectl import actions
from queuectl.cli.bulk import DryRun, Verb, Yes, carry_out
from queuectl.cli.group import Group
from queuectl.cli.listing import IN_DLQ, print_runs
from queuectl.cli.look import RunId
from queuectl.cli.options import checked, rate
from queuectl.cli.selecting import All, selecting
from queuectl.cli.session import Db, Json, Limit, open_archive, open_store
from queuectl.errors import QueuectlError
from queuectl.job import State
from queuectl.selector import Selector

_RETRY, _PURGE = (
    Verb(
        states=(State.DEAD,),
        usual=(State.DEAD,),
        done=done,
        refusal="not in the dead letter queue",
        deletes=deletes,
    )
    for done, deletes in (("put back into the queue", False), ("deleted for good", True))
)


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    dlq = typer.Typer(cls=Group, rich_markup_mode=None, help="The dead letter queue: runs in state dead.")
    dlq.command("list", epilog="Examples:  queuectl dlq list    queuectl dlq list --since 1d --json")(
        selecting(list_dead, needs=False, without=("states", "every"))
    )
    dlq.command("show", epilog="Examples:  queuectl dlq show r12    queuectl dlq show r12 --json")(show_dead)
    dlq.command("retry", epilog="Examples:  queuectl dlq retry r12    queuectl dlq retry --all --rate 10/m --yes")(
        selecting(retry, without=("states",))
    )
    dlq.command("purge", epilog="Examples:  queuectl dlq purge r12    queuectl dlq purge --until 30d --yes")(
        selecting(purge, without=("states",))
    )
    app.add_typer(dlq, name="dlq")


def list_dead(selector: Selector, every: All = False, limit: Limit = None, db: Db = None, json: Json = False) -> None:
    """List the dead runs, newest first: on a terminal the newest 50, elsewhere all, if nothing else is said."""
    with open_store(db) as store:
        print_runs(store, replace(selector, states=(State.DEAD,)), limit=limit, every=every, json=json, columns=IN_DLQ)


def show_dead(run: RunId, db: Db = None, json: Json = False) -> None:
    """Show one dead run: its spec, why it died, and every attempt."""
    from queuectl.cli.run_text import print_run

    with open_archive(db) as store:
        found = store.run(run)
        if found.state is not State.DEAD:
            raise QueuectlError(f"{_RETRY.refusal}: `{found.id}` is {found.state}")
        print_run(store, found, json=json)


def retry(
    selector: Selector,
    original_spec: Annotated[
        bool, typer.Option("--original-spec", help="As they were, not as their jobs are now.")
    ] = False,
    pace: Annotated[
        str | None, typer.Option("--rate", metavar="N/TIME", help="No more than so many at a time, like 10/m.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    db: Db = None,
) -> None:
    """Put dead runs back into the queue under their ids, in their order, with all their attempts before them.

    They take the present spec of their jobs. Where runs of a job must not overlap, each waits for the one before.
    """
    apart = timedelta(0) if pace is None else checked("--rate", rate, pace)
    with open_store(db) as store:
        retried = partial(actions.retry, original_spec=original_spec, pace=apart)
        carry_out(store, selector, _RETRY, retried, yes=yes, dry_run=dry_run)


def purge(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Delete dead runs for good, with the record of their attempts and what they wrote."""
    with open_store(db) as store:
        carry_out(store, selector, _PURGE, actions.purge, yes=yes, dry_run=dry_run)
