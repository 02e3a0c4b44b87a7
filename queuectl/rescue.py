"""Runs whose runner is gone: proved to be over before anybody else touches them."""

from collections.abc import Iterator
from datetime import datetime

from queuectl import fence, presence
from queuectl.executors import lost, unfinished
from queuectl.job import Attempt, Run
from queuectl.outcome import Released
from queuectl.spool import Spool
from queuectl.store import Store


def abandoned(store: Store, spool: Spool, runner: int) -> Iterator[tuple[Run, Attempt]]:
    """Yield the runs of dead runners, each with its attempt as far as it is known, ready to be settled.

    A run of which a process still lives is left out, its processes are ended, and the next call sees to it.
    ``runner`` is the caller's own id.
    """
    for dead in _dead_runners(store, spool, runner):
        for run in store.processing_runs(dead):
            attempt = _account_of(run, spool)
            if attempt is not None:
                yield run, attempt


def bury(store: Store, spool: Spool, runner: int, *, now: datetime) -> bool:
    """Record the dead runners of which nothing is left as stopped; return whether those were all."""
    is_all = True
    for dead in _dead_runners(store, spool, runner):
        if store.processing_runs(dead):
            is_all = False
            continue
        store.stop_runner(dead, now=now)
        fence.forget(spool.runner_lock(dead))
        fence.forget(spool.wake(dead))
    return is_all


def _dead_runners(store: Store, spool: Spool, runner: int) -> list[int]:
    others = [other.id for other in store.running_runners() if other.id != runner]
    return [other for other in others if not presence.is_alive(spool, other)]


def _account_of(run: Run, spool: Spool) -> Attempt | None:
    """Return how the attempt ended; None as long as something of it lives."""
    lock = spool.lock(run.execution)
    nothing = unfinished(run, Released(began=False))
    if fence.forestall(lock, nothing):
        return nothing
    if not fence.end_holders(lock):
        return None
    return fence.recorded(lock) or lost(run, "its runner died")
