"""The verbs that change runs by hand: cancel, retry, purge."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from queuectl import actions, clock, rules
from queuectl.cli.bulk import DryRun, Verb, Yes, carry_out
from queuectl.cli.options import checked
from queuectl.cli.selecting import All, refuse_nonsense, selecting
from queuectl.cli.session import Db, open_store
from queuectl.errors import UsageError
from queuectl.job import State
from queuectl.selector import FINAL, UNFINISHED, Selector

_CANCEL = Verb(states=UNFINISHED, usual=UNFINISHED, done="cancelled", refusal="nothing to cancel")
_RETRY = Verb(
    states=(State.FAILED, *FINAL),
    usual=(State.FAILED, State.DEAD, State.CANCELLED),
    done="put back into the queue",
    refusal="nothing to retry",
)
_PURGE = Verb(states=FINAL, usual=FINAL, done="deleted for good", refusal="not over", deletes=True)

OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="DURATION", help="Runs that were over this long ago.")
]
Keep = Annotated[int, typer.Option("--keep", metavar="N", min=0, max=1000, help="Not the newest N runs of each job.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cancel", epilog="Examples:  queuectl cancel r12 r13    queuectl cancel --job 'nightly/*' --yes")(
        selecting(cancel)
    )
    app.command("retry", epilog="Examples:  queuectl retry r12    queuectl retry --state cancelled --since 2h --yes")(
        selecting(retry)
    )
    app.command("purge", epilog="Examples:  queuectl purge --older-than 30d --yes    queuectl purge r12 r13")(
        selecting(purge, needs=False, without=("every",))
    )


def cancel(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Cancel runs: a waiting one at once, a running one by ending its process tree within its grace period."""
    with open_store(db) as store:
        cancelled = partial(actions.cancel, states=selector.states)
        carry_out(store, selector, _CANCEL, cancelled, yes=yes, dry_run=dry_run)


def retry(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Put runs back into the queue under their ids, with all their attempts before them and their job's present spec.

    A selection takes those that are dead or cancelled or wait for a retry; completed and skipped ones have to be
    asked for, by their ids or with --state.
    """
    with open_store(db) as store:
        carry_out(store, selector, _RETRY, actions.retry, yes=yes, dry_run=dry_run)


def purge(
    selector: Selector,
    older_than: OlderThan = None,
    keep: Keep = 0,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    db: Db = None,
) -> None:
    """Delete runs that are over for good, with the record of their attempts and what they wrote."""
    if older_than is not None:
        if selector.until is not None:
            raise UsageError("`--older-than` and `--until` mean the same: say one of them")
        age = checked("--older-than", rules.duration, older_than)
        selector = replace(selector, until=clock.now() - timedelta(seconds=age))
    selector = replace(selector, beyond=keep)
    refuse_nonsense(selector, every=every, needs=True)
    with open_store(db) as store:
        carry_out(store, selector, _PURGE, actions.purge, yes=yes, dry_run=dry_run)
