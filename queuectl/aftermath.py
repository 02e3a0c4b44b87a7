"""What became of an attempt that nobody can answer for any more: its worker or its runner is dead."""

from queuectl import clock, fence
from queuectl.job import Attempt, Run
from queuectl.journal import Entry, read_journals
from queuectl.outcome import NEVER_BEGAN, Lost, Outcome
from queuectl.spool import Spool


def account_of(
    run: Run, entry: Entry | None, spool: Spool, cause: str, *, spare_worker: bool = False
) -> Attempt | None:
    """Return the attempt of a run whose worker can begin nothing any more; None as long as something of it lives.

    That is ended at once or, with ``spare_worker``, by the worker if it lives. ``entry`` is what the worker's journal
    says of the execution, ``cause`` why the attempt is lost if it never ended.
    """
    if entry is None:  # it was never begun
        return unfinished(run, NEVER_BEGAN)
    if entry.is_last:
        if not fence.end_holders(
            entry.path, spool.mark(run.execution), spare_with=entry.worker if spare_worker else None
        ):
            return None
        entry = read_journals([entry.path]).get(run.execution, entry)  # the end may have come meanwhile
    return entry.attempt or lost(run, cause)


def lost(run: Run, cause: str) -> Attempt:
    """Return the attempt of a run that nobody can say anything about any more."""
    return unfinished(run, Lost(cause))


def unfinished(run: Run, outcome: Outcome) -> Attempt:
    """Return the attempt of a run whose own account of it is missing; it began when it was claimed."""
    now = clock.now()
    return Attempt(
        number=run.attempts,
        lease=run.lease or 0,
        runner=run.runner or 0,
        started_at=run.started_at or now,
        finished_at=now,
        outcome=outcome,
    )
