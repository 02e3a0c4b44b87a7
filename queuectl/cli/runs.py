"""The verbs that change runs by hand: cancel, retry."""

import typer

from queuectl import actions, clock
from queuectl.author import person
from queuectl.cli.bulk import DryRun, Verb, Yes, carry_out
from queuectl.cli.selecting import selecting
from queuectl.cli.session import Db, open_store
from queuectl.job import State
from queuectl.selector import FINAL, UNFINISHED, Selector

_CANCEL = Verb(states=UNFINISHED, usual=UNFINISHED, done="cancelled", refusal="nothing to cancel")
_RETRY = Verb(
    states=(State.FAILED, *FINAL),
    usual=(State.FAILED, State.DEAD, State.CANCELLED),
    done="put back into the queue",
    refusal="nothing to retry",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cancel", epilog="Examples:  queuectl cancel r12 r13    queuectl cancel --job 'nightly/*' --yes")(
        selecting(cancel)
    )
    app.command("retry", epilog="Examples:  queuectl retry r12    queuectl retry --state cancelled --since 2h --yes")(
        selecting(retry)
    )


def cancel(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Cancel runs: a waiting one at once, a running one by ending its process tree within its grace period."""
    with open_store(db) as store:
        carry_out(
            store,
            selector,
            _CANCEL,
            lambda choices, detail, tell: actions.cancel(
                store, choices, states=selector.states, by=person(), now=clock.now(), detail=detail, tell=tell
            ),
            yes=yes,
            dry_run=dry_run,
        )


def retry(selector: Selector, yes: Yes = False, dry_run: DryRun = False, db: Db = None) -> None:
    """Put runs back into the queue under their ids, with all their attempts before them and their job's present spec.

    A selection takes those that are dead or cancelled or wait for a retry; completed and skipped ones have to be
    asked for, by their ids or with --state.
    """
    with open_store(db) as store:
        carry_out(
            store,
            selector,
            _RETRY,
            lambda choices, detail, tell: actions.retry(
                store, choices, by=person(), now=clock.now(), detail=detail, tell=tell
            ),
            yes=yes,
            dry_run=dry_run,
        )
