"""Runs whose runner is gone: proved to be over before anybody else touches them."""

from collections.abc import Iterator
from datetime import datetime

from queuectl import fence, presence
from queuectl.executors import lost, unfinished
from queuectl.job import Attempt, Run
from queuectl.outcome import Released
from queuectl.spool import Spool
from queuectl.store import Store


def abandoned(store: Store, spool: Spool, runner: int, *, now: datetime) -> Iterator[tuple[Run, Attempt]]:
    """Yield the runs of dead runners, each with its attempt as far as it is known, ready to be settled.

    A run of which a process still lives is left out, its processes are ended, and the next call sees to it. A
    dead runner with nothing left is recorded as stopped. ``runner`` is the caller's own id.
    """
    for other in store.running_runners():
        if other.id == runner or presence.is_alive(spool, other.id):
            continue
        runs = store.processing_runs(other.id)
        if not runs:
            store.stop_runner(other.id, now=now)
            fence.forget(spool.runner_lock(other.id))
            fence.forget(spool.wake(other.id))
        for run in runs:
            attempt = _account_of(run, spool)
            if attempt is not None:
                yield run, attempt


def _account_of(run: Run, spool: Spool) -> Attempt | None:
    """Return how the attempt ended; None as long as something of it lives."""
    lock = spool.lock(run.execution)
    if fence.forestall(lock):
        return unfinished(run, Released())
    if not fence.end_holders(lock):
        return None
    return fence.recorded(lock) or lost(run, "its runner died")
